/** What was wrong with the input of an id rule. */
export type IdErrorCode = 'invalid-url' | 'invalid-digest' | 'invalid-length';

/**
 * The one error that this library throws. Its message names the value and the rule it breaks, so that a caller can pass
 * it on as an invalid argument.
 */
export class IdError extends Error {
  override readonly name = 'IdError';

  constructor(
    readonly code: IdErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
