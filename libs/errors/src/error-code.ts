/** Every code with what it says. The order is the order of the documentation. */
const MEANINGS = {
  'invalid-argument': 'the caller sent something that can never work; the message names the field and the rule',
  'not-found': 'the thing asked for does not exist',
  'already-exists': 'the thing to be made exists',
  'permission-denied': 'the caller is known and may not do this',
  unauthenticated: 'the caller did not say who it is, or not credibly',
  'failed-precondition': 'the system is in a state that forbids the call; repeating it does not help',
  'resource-exhausted': 'a limit was reached; the message names it',
  'no-space': 'the disk is full',
  unavailable: 'the other side cannot be reached or does not serve now',
  'deadline-exceeded': 'no answer in time',
  cancelled: 'the caller gave up',
  unimplemented: 'this part does not offer the method',
  'data-loss': 'bytes are not what their digest says',
  origin: 'the origin answered with an error; details: statusCode (number), headers (string map), message',
  internal: 'a defect, or something nobody foresaw',
} as const;

export type ErrorCode = keyof typeof MEANINGS;

/** In the order of the documentation. */
export const ERROR_CODES = Object.keys(MEANINGS) as readonly ErrorCode[];

/** For codes that came over a wire. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(MEANINGS, value);
}
