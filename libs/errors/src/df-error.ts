import { codeOfGrpcStatus } from './boundaries.js';
import { isErrorCode, type ErrorCode } from './error-code.js';

/** What may accompany an error: facts a caller can act on, plain JSON values only. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface DfErrorOptions {
  /** The error this one was made from; its message is not repeated in ours. */
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
  /**
   * Whether the same call may succeed when repeated unchanged.
   * @default true for `unavailable` and `deadline-exceeded`, false otherwise
   */
  readonly retryable?: boolean;
}

const RETRYABLE_BY_DEFAULT: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unavailable', 'deadline-exceeded']);

/** Operating system errors with a meaning of their own; every other errno becomes the fallback code. */
const CODE_OF_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'not-found',
  EEXIST: 'already-exists',
  EACCES: 'permission-denied',
  EPERM: 'permission-denied',
  EROFS: 'permission-denied',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EMFILE: 'resource-exhausted',
  ENFILE: 'resource-exhausted',
  ENOMEM: 'resource-exhausted',
  ECONNREFUSED: 'unavailable',
  ECONNRESET: 'unavailable',
  EPIPE: 'unavailable',
  EHOSTUNREACH: 'unavailable',
  ENETUNREACH: 'unavailable',
  ENOTFOUND: 'unavailable',
  EAI_AGAIN: 'unavailable',
  ETIMEDOUT: 'deadline-exceeded',
};

/**
 * The one error type of the system. Parts throw it, boundaries translate it: see `grpcStatusOf`, `httpStatusOf` and
 * `exitCodeOf` for the tables.
 */
export class DfError extends Error {
  override readonly name = 'DfError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: DfErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.retryable = options.retryable ?? RETRYABLE_BY_DEFAULT.has(code);
  }

  /**
   * Turns anything caught into a `DfError`; one that is already a `DfError` is returned as it is.
   *
   * An abort becomes `cancelled` (a timed out signal `deadline-exceeded`), an errno is mapped by table, a gRPC
   * `ServiceError` keeps its status as `details.status`.
   * @param fallback code for everything that says nothing about itself
   */
  static from(caught: unknown, fallback: ErrorCode = 'internal'): DfError {
    if (caught instanceof DfError) return caught;
    // Two copies of this package may be loaded (a bundle and its host): recognise the other copy by its shape.
    if (isDfErrorShaped(caught)) {
      return new DfError(caught.code, caught.message, {
        cause: caught,
        details: caught.details,
        retryable: caught.retryable,
      });
    }
    if (!Error.isError(caught)) return new DfError(fallback, String(caught));
    if (caught.name === 'AbortError') return new DfError('cancelled', 'the operation was cancelled', { cause: caught });
    if (caught.name === 'TimeoutError') {
      return new DfError('deadline-exceeded', 'the operation timed out', { cause: caught });
    }
    if (isServiceError(caught)) {
      return new DfError(codeOfGrpcStatus(caught.code), plainDetails(caught.details || caught.message), {
        cause: caught,
        details: { status: caught.code },
      });
    }
    if (isErrnoException(caught) && caught.code !== undefined) {
      return new DfError(CODE_OF_ERRNO[caught.code] ?? fallback, caught.message, {
        cause: caught,
        details: { errno: caught.code },
      });
    }
    return new DfError(fallback, caught.message, { cause: caught });
  }
}

/** Whether `error` carries an errno string such as `ENOENT`. */
export function isErrnoException(error: unknown): error is NodeJS.ErrnoException {
  return Error.isError(error) && typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** Makes a `switch` over a union exhaustive at compile time, and loud at run time when a value came from outside. */
export function assertNever(value: never): never {
  throw new DfError('internal', `unexpected value ${JSON.stringify(value)}`);
}

interface ServiceErrorLike extends Error {
  readonly code: number;
  readonly details: string;
}

function isServiceError(error: Error): error is ServiceErrorLike {
  const candidate = error as Partial<ServiceErrorLike>;
  return typeof candidate.code === 'number' && typeof candidate.details === 'string';
}

/** Of what grpc-js says when it has no connection only the reason: the rest is about its own workings. */
function plainDetails(text: string): string {
  const reason = /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: *(.*)$/s.exec(text);
  if (reason === null) return text;
  const [, lastError = '', note = ''] = reason;
  // All that grpc-js says when a server takes the connection and ends it before HTTP/2 begins.
  const hint = lastError.startsWith('Failed to connect')
    ? 'the server closes the connection at once; it may want TLS, or another certificate (security.enable, or the keys caCert, cert and key)'
    : lastError;
  return `no connection: ${[hint, note].filter((part) => part !== '' && part !== 'null').join('; ')}`;
}

function isDfErrorShaped(caught: unknown): caught is DfError {
  if (!Error.isError(caught) || caught.name !== 'DfError') return false;
  const candidate = caught as Partial<DfError>;
  return isErrorCode(candidate.code) && typeof candidate.retryable === 'boolean';
}
