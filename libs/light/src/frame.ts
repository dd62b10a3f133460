/**
 * Frames of the light protocol (docs/PROTOCOL.md): a big-endian u32 length followed by that many bytes of UTF-8 JSON.
 * Pure: no sockets here, so the same code is fuzzed, used by the server and used by the client.
 */

/** Longest JSON text one frame may carry, in bytes. A longer length word ends the connection before anything is buffered. */
export const MAX_FRAME_BYTES = 1024 * 1024;

/** Bytes of the length word in front of every frame. */
export const FRAME_HEADER_BYTES = 4;

/** What was wrong with a frame; the connection is unusable afterwards because the frame boundary is lost or untrusted. */
export type FrameErrorReason = 'empty' | 'too-long' | 'not-utf8' | 'not-json' | 'not-an-object';

/** A frame that breaks the protocol. The receiver closes the connection. */
export class FrameError extends Error {
  constructor(
    readonly reason: FrameErrorReason,
    message: string,
  ) {
    super(message);
    this.name = 'FrameError';
  }
}

/** A decoded frame: some JSON object, not validated yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Encodes one message.
 * @returns header and JSON text in one buffer, ready for a single write
 * @throws FrameError `too-long` when the JSON text is longer than {@link MAX_FRAME_BYTES}
 */
export function encodeMessage(message: object): Buffer {
  const text = JSON.stringify(message);
  const lengthBytes = Buffer.byteLength(text);
  if (lengthBytes > MAX_FRAME_BYTES) {
    throw new FrameError('too-long', `message of ${lengthBytes} bytes is longer than ${MAX_FRAME_BYTES} bytes`);
  }
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + lengthBytes);
  frame.writeUInt32BE(lengthBytes, 0);
  frame.write(text, FRAME_HEADER_BYTES, 'utf8');
  return frame;
}

/**
 * Decodes the JSON text of one frame.
 * @param body exactly the bytes after the length word
 * @throws FrameError when it is not the UTF-8 text of a JSON object
 */
export function decodeBody(body: Uint8Array): JsonObject {
  let text: string;
  try {
    text = strictUtf8.decode(body);
  } catch {
    throw new FrameError('not-utf8', 'frame is not UTF-8 text');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FrameError('not-json', 'frame is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FrameError('not-an-object', 'frame is not a JSON object');
  }
  return value as JsonObject;
}

/**
 * Cuts a byte stream into messages.
 *
 * Buffers at most one frame (header plus {@link MAX_FRAME_BYTES}): a frame body is allocated only after its length
 * word was checked. After a FrameError the reader refuses all further input, since the stream position is not known.
 */
export class FrameReader {
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;
  #failure: FrameError | undefined;

  constructor(private readonly maxFrameBytes: number = MAX_FRAME_BYTES) {}

  /** True while a frame has begun and is not complete, i.e. an end of stream now would be a truncation. */
  get isMidFrame(): boolean {
    return this.#headerFilled > 0;
  }

  /**
   * Takes the next bytes of the stream.
   * @param chunk any number of bytes; copied, so the caller may reuse it
   * @returns the messages completed by these bytes, in order
   * @throws FrameError at the first bad frame; messages before it in the same chunk are lost with the connection
   */
  push(chunk: Uint8Array): JsonObject[] {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return this.#consume(chunk);
    } catch (error) {
      if (error instanceof FrameError) this.#failure = error;
      this.#body = undefined;
      throw error;
    }
  }

  #consume(chunk: Uint8Array): JsonObject[] {
    const messages: JsonObject[] = [];
    let position = 0;
    while (position < chunk.length) {
      if (this.#body === undefined) {
        const taken = Math.min(FRAME_HEADER_BYTES - this.#headerFilled, chunk.length - position);
        this.#header.set(chunk.subarray(position, position + taken), this.#headerFilled);
        this.#headerFilled += taken;
        position += taken;
        if (this.#headerFilled < FRAME_HEADER_BYTES) break;
        this.#body = Buffer.allocUnsafe(this.#checkedLength());
        this.#bodyFilled = 0;
      }
      const taken = Math.min(this.#body.length - this.#bodyFilled, chunk.length - position);
      this.#body.set(chunk.subarray(position, position + taken), this.#bodyFilled);
      this.#bodyFilled += taken;
      position += taken;
      if (this.#bodyFilled === this.#body.length) {
        messages.push(decodeBody(this.#body));
        this.#body = undefined;
        this.#headerFilled = 0;
      }
    }
    return messages;
  }

  #checkedLength(): number {
    const lengthBytes = this.#header.readUInt32BE(0);
    if (lengthBytes === 0) throw new FrameError('empty', 'frame of 0 bytes');
    if (lengthBytes > this.maxFrameBytes) {
      throw new FrameError('too-long', `frame of ${lengthBytes} bytes is longer than ${this.maxFrameBytes} bytes`);
    }
    return lengthBytes;
  }
}
