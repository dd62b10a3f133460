import { DfError, type ErrorCode } from '@dragonfly/errors';

/** Codes of the stores' XML errors; S3 and OSS share most of them. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  NoSuchBucket: 'not-found',
  NoSuchKey: 'not-found',
  NotFound: 'not-found',
  BucketAlreadyExists: 'already-exists',
  BucketAlreadyOwnedByYou: 'already-exists',
  BucketNotEmpty: 'failed-precondition',
  InvalidBucketName: 'invalid-argument',
  AccessDenied: 'permission-denied',
  Forbidden: 'permission-denied',
  InvalidAccessKeyId: 'permission-denied',
  SignatureDoesNotMatch: 'permission-denied',
  RequestTimeTooSkewed: 'permission-denied',
  SlowDown: 'unavailable',
  ServiceUnavailable: 'unavailable',
  InternalError: 'unavailable',
  TimeoutError: 'deadline-exceeded',
  ConnectionTimeoutError: 'deadline-exceeded',
  ResponseTimeoutError: 'deadline-exceeded',
  RequestError: 'unavailable',
};

/** What an SDK threw, as the port promises it. Never holds credentials: the SDKs' requests are not passed on. */
export function storeError(caught: unknown, what: string): DfError {
  if (caught instanceof DfError) return caught;
  const { name, code, message } = caught as { name?: string; code?: string; message?: string };
  const known = CODES[code ?? ''] ?? CODES[name ?? ''] ?? CODES[(name ?? '').replace(/Error$/, '')];
  const text = `${what}: ${message || code || name || 'failed'}`;
  if (known !== undefined) return new DfError(known, text, { cause: { name, code } });
  const converted = DfError.from(caught, 'unavailable');
  return new DfError(converted.code, text, { cause: { name, code } });
}
