import type { OutgoingHttpHeaders } from 'node:http2';
import { Metadata, status as Status, type StatusObject } from '@grpc/grpc-js';
import { DfError, grpcStatusOf } from '@dragonfly/errors';
import { MAX_STATUS_DETAILS_BYTES, MAX_STATUS_TEXT_LENGTH } from './limits.js';
import type { RpcLog } from './log.js';
import { encodeOriginDetails } from './origin-details.js';

/** Trailer with further bytes of a status. Daemons put JSON into it (see origin-details.ts), not google.rpc.Status. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';

/** What a call ends with. */
export type CallStatus = Pick<StatusObject, 'code' | 'details' | 'metadata'>;

/** A status as grpc-js sends it: text made safe for a header, details bytes bounded. */
export function callStatus(code: Status, message: string, detailsBytes?: Uint8Array): CallStatus {
  const metadata = new Metadata();
  if (detailsBytes !== undefined && detailsBytes.length <= MAX_STATUS_DETAILS_BYTES) {
    metadata.set(STATUS_DETAILS_KEY, Buffer.from(detailsBytes));
  }
  // grpc-js runs encodeURI on the text, which throws on a lone surrogate.
  return { code, details: message.slice(0, MAX_STATUS_TEXT_LENGTH).toWellFormed(), metadata };
}

/** A status as HTTP/2 trailers, in the form that grpc-js gives them. */
export function trailersOf({ code, details, metadata }: CallStatus): OutgoingHttpHeaders {
  return { 'grpc-status': code, 'grpc-message': encodeURI(details), ...metadata.toHttp2Headers() };
}

/**
 * The status for whatever a handler threw.
 *
 * A `DfError` is mapped by the table of the errors package, an error that already carries a gRPC status is passed on.
 * Anything else is a mistake of ours: the caller sees INTERNAL without particulars, the log gets the stack.
 * @param method path of the method, for the log
 */
export function statusOfError(error: unknown, method: string, log: RpcLog): CallStatus {
  if (error instanceof DfError || isAbort(error)) {
    const known = DfError.from(error);
    return callStatus(grpcStatusOf(known.code), known.message, encodeOriginDetails(known));
  }
  if (isStatusLike(error)) {
    const status = callStatus(error.code, error.details ?? error.message ?? '');
    if (error.metadata instanceof Metadata) status.metadata.merge(error.metadata);
    return status;
  }
  log.error({ err: error, method }, 'a gRPC handler failed');
  return callStatus(Status.INTERNAL, 'internal error');
}

interface StatusLike {
  readonly code: number;
  readonly details?: string;
  readonly message?: string;
  readonly metadata?: unknown;
}

function isAbort(error: unknown): boolean {
  return Error.isError(error) && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

function isStatusLike(error: unknown): error is StatusLike {
  if (typeof error !== 'object' || error === null) return false;
  const { code, details, metadata } = error as Partial<StatusLike>;
  if (typeof code !== 'number' || !(code in Status) || code === Number(Status.OK)) return false;
  return typeof details === 'string' || metadata instanceof Metadata;
}
