import { createHash } from 'node:crypto';

const WORDS_PER_BLOCK = 16_384;
const BLOCK_BYTES = WORDS_PER_BLOCK * 4;

/**
 * Deterministic pseudo-random content: the same seed and offset always give the same bytes, whatever the size, so that
 * any range of a file of any length can be made and checked without keeping it.
 */
export class Content {
  constructor(
    readonly lengthBytes: number,
    readonly seed = 1,
  ) {}

  /** Bytes [start, end), both clipped to the content. */
  slice(start = 0, end = this.lengthBytes): Buffer {
    const to = Math.min(end, this.lengthBytes);
    const from = Math.min(Math.max(0, start), to);
    const parts: Buffer[] = [];
    for (let position = from; position < to;) {
      const block = Math.floor(position / BLOCK_BYTES);
      const inBlock = position - block * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - inBlock, to - position);
      parts.push(this.block(block).subarray(inBlock, inBlock + length));
      position += length;
    }
    return Buffer.concat(parts);
  }

  /** Lower-case hex. */
  sha256(): string {
    const hash = createHash('sha256');
    for (let position = 0; position < this.lengthBytes; position += BLOCK_BYTES) {
      hash.update(this.slice(position, position + BLOCK_BYTES));
    }
    return hash.digest('hex');
  }

  /** xorshift32, started from seed and block number. */
  private block(index: number): Buffer {
    const words = new Uint32Array(WORDS_PER_BLOCK);
    let state = (Math.imul(this.seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0 || 1;
    for (let word = 0; word < WORDS_PER_BLOCK; word += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[word] = state >>> 0;
    }
    return Buffer.from(words.buffer);
  }
}
