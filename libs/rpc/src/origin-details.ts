import type { DfError } from '@dragonfly/errors';
import { MAX_STATUS_DETAILS_BYTES } from './limits.js';

/** What the origin answered, as one daemon tells it to another and to the command line. */
export interface OriginDetails {
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  /** HTTP status of the origin; absent when the origin gave none. */
  readonly statusCode?: number;
}

/**
 * The details bytes of an `origin` error: JSON with the field names of errordetails.v2.Backend. Other errors have none.
 * @returns undefined for another code; headers are left out when they would not fit into a trailer
 */
export function encodeOriginDetails(error: DfError): Buffer | undefined {
  if (error.code !== 'origin') return undefined;
  const { statusCode, headers, message } = error.details;
  const answer = {
    message: typeof message === 'string' ? message : error.message,
    header: isTextMap(headers) ? headers : {},
    status_code: typeof statusCode === 'number' ? statusCode : null,
  };
  const bytes = Buffer.from(JSON.stringify(answer));
  if (bytes.length <= MAX_STATUS_DETAILS_BYTES) return bytes;
  return Buffer.from(JSON.stringify({ ...answer, message: answer.message.slice(0, 1024), header: {} }));
}

/** Reads what `encodeOriginDetails` or a real daemon wrote; undefined for anything else. */
export function decodeOriginDetails(bytes: Uint8Array): OriginDetails | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined; // not JSON, so not ours: the status stands without details
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { message, header, status_code: statusCode } = value as Record<string, unknown>;
  if (typeof message !== 'string') return undefined;
  return {
    message,
    headers: isTextMap(header) ? header : {},
    ...(typeof statusCode === 'number' ? { statusCode } : {}),
  };
}

function isTextMap(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((item) => typeof item === 'string');
}
