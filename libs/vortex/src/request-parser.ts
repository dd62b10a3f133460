import { FrameError } from './frame-error.js';
import {
  decodeFrameHeader,
  decodePieceRequest,
  FRAME_HEADER_LENGTH_BYTES,
  meaningOfTag,
  PIECE_REQUEST_VALUE_LENGTH_BYTES,
  type PieceKind,
  type PieceRequest,
} from './frame.js';

/** Length of every request that a server accepts. */
const REQUEST_LENGTH_BYTES = FRAME_HEADER_LENGTH_BYTES + PIECE_REQUEST_VALUE_LENGTH_BYTES;

/** A request as it came. */
export interface IncomingRequest extends PieceRequest {
  readonly kind: PieceKind;
}

/** Collects the bytes of a connection and cuts requests out of them. */
export class RequestParser {
  private pending: Buffer = Buffer.alloc(0);

  /** Bytes that belong to no request yet given out. */
  get pendingBytes(): number {
    return this.pending.length;
  }

  /** Adds bytes. The caller bounds how many: see {@link pendingBytes}. */
  push(chunk: Buffer): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
  }

  /**
   * The next whole request, or `undefined` when more bytes are needed.
   *
   * Tag and length are judged as soon as the header is there, so that nothing is collected for a frame that will be
   * refused anyway.
   * @throws FrameError: the connection is closed without an answer, as the original does
   */
  next(): IncomingRequest | undefined {
    if (this.pending.length < FRAME_HEADER_LENGTH_BYTES) return undefined;
    const header = decodeFrameHeader(this.pending);
    const meaning = meaningOfTag(header.tag);
    if (meaning.type !== 'request') throw new FrameError('unexpected-tag', `tag ${header.tag} is no piece request`);
    if (header.valueLengthBytes > PIECE_REQUEST_VALUE_LENGTH_BYTES) {
      throw new FrameError('too-long', `piece request of ${header.valueLengthBytes} bytes`);
    }
    if (header.valueLengthBytes < PIECE_REQUEST_VALUE_LENGTH_BYTES) {
      throw new FrameError('too-short', `piece request of ${header.valueLengthBytes} bytes`);
    }
    if (this.pending.length < REQUEST_LENGTH_BYTES) return undefined;
    const request = decodePieceRequest(this.pending.subarray(FRAME_HEADER_LENGTH_BYTES, REQUEST_LENGTH_BYTES));
    this.pending = this.pending.subarray(REQUEST_LENGTH_BYTES);
    return { kind: meaning.kind, ...request };
  }
}
