import { type CallOptions, type ClientUnaryCall, Metadata, type ServiceError } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import type { DeepPartial } from '@dragonfly/proto';
import { decodeOriginDetails } from './origin-details.js';
import { STATUS_DETAILS_KEY } from './status.js';

export interface UnaryOptions {
  /** The call fails with `deadline-exceeded` after this; the server is told it too. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

/** A method of a generated client, bound to it: `client.statTask.bind(client)`. */
export type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Res) => void,
) => ClientUnaryCall;

/**
 * Makes a unary call. Fields that the request leaves out have their zero value.
 * @throws DfError with `details.status` the gRPC status number; `origin` errors of a daemon carry what the origin said;
 * an abort gives `cancelled`
 */
export async function unary<Req, Res>(
  method: UnaryMethod<Req, Res>,
  request: DeepPartial<NoInfer<Req>>,
  options: UnaryOptions,
): Promise<Res> {
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const metadata = options.metadata ?? new Metadata();
  return new Promise<Res>((resolve, reject) => {
    const deadline = Date.now() + options.deadlineMs;
    const call = method(request as Req, metadata, { deadline }, (error, response) => {
      signal?.removeEventListener('abort', cancel);
      if (error === null) resolve(response);
      else reject(signal?.aborted ? abortError(signal) : errorOfCall(error));
    });
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

/** The error for an aborted signal: `deadline-exceeded` for a timeout signal, otherwise `cancelled`. */
export function abortError(signal: AbortSignal): DfError {
  const reason: unknown = signal.reason;
  return reason instanceof DfError ? reason : DfError.from(reason, 'cancelled');
}

/** What a failed call means to us. Of daemons the details bytes of an origin error are read back. */
export function errorOfCall(caught: unknown): DfError {
  const error = DfError.from(caught);
  const metadata = (caught as Partial<ServiceError> | null)?.metadata;
  const bytes = metadata instanceof Metadata ? metadata.get(STATUS_DETAILS_KEY)[0] : undefined;
  const origin = Buffer.isBuffer(bytes) ? decodeOriginDetails(bytes) : undefined;
  if (origin === undefined) return error;
  return new DfError('origin', error.message, { cause: caught, details: { ...error.details, ...origin } });
}
