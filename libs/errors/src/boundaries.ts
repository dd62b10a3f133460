import type { ErrorCode } from './error-code.js';

/** gRPC status numbers, as https://grpc.github.io/grpc/core/md_doc_statuscodes.html numbers them. */
const GRPC = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

interface Row {
  readonly grpc: number;
  readonly http: number;
  /** Exit code of a command: 1 failure, 2 usage, 130 interrupted (128 + SIGINT). */
  readonly exit: number;
}

/** One row a code: what each boundary shows for it. */
const BOUNDARIES: Readonly<Record<ErrorCode, Row>> = {
  'invalid-argument': { grpc: GRPC.INVALID_ARGUMENT, http: 400, exit: 2 },
  'not-found': { grpc: GRPC.NOT_FOUND, http: 404, exit: 1 },
  'already-exists': { grpc: GRPC.ALREADY_EXISTS, http: 409, exit: 1 },
  'permission-denied': { grpc: GRPC.PERMISSION_DENIED, http: 403, exit: 1 },
  unauthenticated: { grpc: GRPC.UNAUTHENTICATED, http: 401, exit: 1 },
  'failed-precondition': { grpc: GRPC.FAILED_PRECONDITION, http: 412, exit: 1 },
  'resource-exhausted': { grpc: GRPC.RESOURCE_EXHAUSTED, http: 429, exit: 1 },
  'no-space': { grpc: GRPC.RESOURCE_EXHAUSTED, http: 507, exit: 1 },
  unavailable: { grpc: GRPC.UNAVAILABLE, http: 503, exit: 1 },
  'deadline-exceeded': { grpc: GRPC.DEADLINE_EXCEEDED, http: 504, exit: 1 },
  cancelled: { grpc: GRPC.CANCELLED, http: 499, exit: 130 },
  unimplemented: { grpc: GRPC.UNIMPLEMENTED, http: 501, exit: 1 },
  'data-loss': { grpc: GRPC.DATA_LOSS, http: 502, exit: 1 },
  // The daemon's clients read the origin's answer from the details of an INTERNAL status.
  origin: { grpc: GRPC.INTERNAL, http: 502, exit: 1 },
  internal: { grpc: GRPC.INTERNAL, http: 500, exit: 1 },
};

const CODE_OF_GRPC: Readonly<Record<number, ErrorCode>> = {
  [GRPC.CANCELLED]: 'cancelled',
  [GRPC.INVALID_ARGUMENT]: 'invalid-argument',
  [GRPC.DEADLINE_EXCEEDED]: 'deadline-exceeded',
  [GRPC.NOT_FOUND]: 'not-found',
  [GRPC.ALREADY_EXISTS]: 'already-exists',
  [GRPC.PERMISSION_DENIED]: 'permission-denied',
  [GRPC.RESOURCE_EXHAUSTED]: 'resource-exhausted',
  [GRPC.FAILED_PRECONDITION]: 'failed-precondition',
  [GRPC.ABORTED]: 'failed-precondition',
  [GRPC.OUT_OF_RANGE]: 'invalid-argument',
  [GRPC.UNIMPLEMENTED]: 'unimplemented',
  [GRPC.UNAVAILABLE]: 'unavailable',
  [GRPC.DATA_LOSS]: 'data-loss',
  [GRPC.UNAUTHENTICATED]: 'unauthenticated',
};

/** gRPC status number (0–16) shown for a code. */
export function grpcStatusOf(code: ErrorCode): number {
  return BOUNDARIES[code].grpc;
}

/** Code for a gRPC status number; statuses that say nothing (UNKNOWN, INTERNAL, new ones) become `internal`. */
export function codeOfGrpcStatus(status: number): ErrorCode {
  return CODE_OF_GRPC[status] ?? 'internal';
}

/** HTTP status shown for a code. */
export function httpStatusOf(code: ErrorCode): number {
  return BOUNDARIES[code].http;
}

/** Process exit code of a command that ended with this error. */
export function exitCodeOf(code: ErrorCode): number {
  return BOUNDARIES[code].exit;
}
