import { DfError, httpStatusOf, type ErrorCode } from '@dragonfly/errors';
import { databaseError } from '@dragonfly/persistence';
import type { Logger } from '@dragonfly/telemetry';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

interface Answer {
  status: number;
  body: Record<string, string>;
  headers?: Record<string, string>;
}

/** Statuses that the API has in other places than our usual table: see the README. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  'invalid-argument': 422,
  // A cluster that still has members, for example; the original answers every refusal of its services with 500.
  'failed-precondition': 500,
};

/** Turns whatever a handler throws into the API's error bodies: `{"errors": …}` for 422, `{"message": …}` else. */
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
    const status = STATUS[failure.code] ?? httpStatusOf(failure.code);
    switch (failure.code) {
      case 'invalid-argument':
        return { status, body: { errors: failure.message } };
      case 'already-exists':
        return { status, body: { message: 'Conflict' } };
      case 'unauthenticated': {
        const shown = failure.details['shown'];
        return typeof shown === 'string'
          ? { status, body: { message: shown } }
          : {
              status,
              body: { message: 'Unauthorized' },
              headers: { 'www-authenticate': `JWT realm=${this.realm}` },
            };
      }
      default:
        return { status, body: { message: failure.message } };
    }
  }
}

function httpAnswer(status: number, message: string): Answer {
  return { status, body: status === 422 ? { errors: message } : { message: status === 404 ? 'Not Found' : message } };
}

function messageOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}
