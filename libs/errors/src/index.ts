export { codeOfGrpcStatus, exitCodeOf, grpcStatusOf, httpStatusOf } from './boundaries.js';
export { assertNever, DfError, isErrnoException, type DfErrorOptions, type ErrorDetails } from './df-error.js';
export { ERROR_CODES, isErrorCode, type ErrorCode } from './error-code.js';
