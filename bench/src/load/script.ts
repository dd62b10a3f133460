/** Messages of one side of a conversation, as frames. */
export interface Frames {
  /** Handed over: whoever sends them may change them. */
  readonly bytes: Buffer;
  /** Where each frame begins. */
  readonly offsets: readonly number[];
}

/** What is said in a conversation: a first message, an answer, and the rest, after which the server ends it. */
export interface Script {
  /** Path of the method. */
  readonly path: string;
  first(index: number): Frames;
  rest(index: number, answer: Buffer): Frames;
}

/** Messages of a conversation in both directions. */
export const MESSAGES_PER_CONVERSATION = 20;

/** Frames one after another. */
export function joined(frames: readonly Buffer[]): Frames {
  const offsets: number[] = [];
  let length = 0;
  for (const { length: frameLength } of frames) {
    offsets.push(length);
    length += frameLength;
  }
  return { bytes: Buffer.concat(frames), offsets };
}
