/** What is wrong with a frame. */
export type FrameErrorCode =
  /** Fewer bytes than the fields need. */
  | 'too-short'
  /** A length field is over its named limit, or bytes follow where none may. */
  | 'too-long'
  /** The task id is not 64 hex characters. */
  | 'invalid-task-id'
  /** A number does not fit its field, or not into 53 bits. */
  | 'invalid-number'
  /** A frame that has no place here, such as content of another task kind. */
  | 'unexpected-tag';

/** The only error that encoding and decoding of frames throws. A connection on which it occurs is closed. */
export class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(
    readonly code: FrameErrorCode,
    message: string,
  ) {
    super(message);
  }
}
