import { DfError, httpStatusOf, type ErrorCode } from '@dragonfly/errors';
import { databaseError } from '@dragonfly/persistence';
import type { Logger } from '@dragonfly/telemetry';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

interface Answer {
  status: number;
  /** Undefined = no body at all. */
  body?: Record<string, string>;
  headers?: Record<string, string>;
}

/** Statuses that the API has in other places than our usual table: see the README. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  'invalid-argument': 422,
  // A cluster that still has members, for example; the original answers every refusal of its services with 500.
  'failed-precondition': 500,
};

/** Told to clients that may try again when nothing better is known. */
const DEFAULT_RETRY_AFTER_S = 2;

/**
 * Turns whatever a handler throws into the API's error bodies: `{"errors": …}` for 422, `{"message": …}` else.
 *
 * A DfError can say more in its details: `status` (another one than its code has), `shown` (text for clients of a 401 or
 * 409), `retryAfterS`, `body: 'none'`.
 */
@Catch()
export class RestErrorFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly realm: string,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const answer = this.answer(error);
    const asked = { method: request.method, route: request.routeOptions.url };
    if (error instanceof DfError && error.code === 'failed-precondition') {
      // The caller's affair, whatever the status that the API has for it.
      this.log.info({ ...asked, reason: error.message }, 'request refused');
    } else if (answer.status >= 500) {
      this.log.warn({ ...asked, err: error }, 'request failed');
    }
    void reply
      .status(answer.status)
      .headers(answer.headers ?? {})
      .send(answer.body);
  }

  private answer(error: unknown): Answer {
    if (error instanceof HttpException) {
      return httpAnswer(error.getStatus(), error.message);
    }
    // Fastify's own errors (a body that is no JSON, too large, an unknown media type) carry their status.
    const { statusCode } = (error ?? {}) as { statusCode?: unknown };
    if (typeof statusCode === 'number' && statusCode < 500) {
      return httpAnswer(statusCode === 400 || statusCode === 415 ? 422 : statusCode, messageOf(error));
    }
    const failure = databaseError(error);
    const { status: own } = failure.details;
    const status = typeof own === 'number' ? own : (STATUS[failure.code] ?? httpStatusOf(failure.code));
    if (failure.details['body'] === 'none') {
      return { status };
    }
    switch (failure.code) {
      case 'invalid-argument':
        return { status, body: { errors: failure.message } };
      case 'already-exists':
        return { status, body: { message: shownOf(failure) ?? 'Conflict' } };
      case 'unauthenticated': {
        const shown = shownOf(failure);
        return shown !== undefined
          ? { status, body: { message: shown } }
          : {
              status,
              body: { message: 'Unauthorized' },
              headers: { 'www-authenticate': `JWT realm=${this.realm}` },
            };
      }
      case 'unavailable':
      case 'resource-exhausted': {
        const { retryAfterS } = failure.details;
        const waitS = typeof retryAfterS === 'number' ? retryAfterS : DEFAULT_RETRY_AFTER_S;
        return { status, body: { message: failure.message }, headers: { 'retry-after': String(waitS) } };
      }
      default:
        return { status, body: { message: failure.message } };
    }
  }
}

function shownOf(failure: DfError): string | undefined {
  const { shown } = failure.details;
  return typeof shown === 'string' ? shown : undefined;
}

function httpAnswer(status: number, message: string): Answer {
  return { status, body: status === 422 ? { errors: message } : { message: status === 404 ? 'Not Found' : message } };
}

function messageOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}
