/**
 * Highest piece number that is kept, exclusive. 2^22 pieces of the smallest piece length (4 MiB) are 16 TiB; a number
 * beyond it comes from a broken or hostile peer and would only cost memory.
 */
export const MAX_PIECE_COUNT = 2 ** 22;

const BITS_PER_WORD = 32;
const FIRST_CAPACITY_WORDS = 1;

/** A set of piece numbers as a bit set that grows with the highest number: 1 bit a piece. */
export class PieceSet {
  #words: Uint32Array | undefined;
  #size = 0;

  /** How many different numbers it holds. */
  get size(): number {
    return this.#size;
  }

  /**
   * @returns false when the number was there already, or is no piece number below {@link MAX_PIECE_COUNT}
   */
  add(number: number): boolean {
    if (!Number.isInteger(number) || number < 0 || number >= MAX_PIECE_COUNT) return false;
    const word = Math.floor(number / BITS_PER_WORD);
    const words = this.#withCapacity(word + 1);
    const before = words[word] ?? 0;
    const after = (before | (1 << (number % BITS_PER_WORD))) >>> 0;
    if (after === before) return false;
    words[word] = after;
    this.#size += 1;
    return true;
  }

  has(number: number): boolean {
    if (!Number.isInteger(number) || number < 0) return false;
    const word = this.#words?.[Math.floor(number / BITS_PER_WORD)] ?? 0;
    return (word & (1 << (number % BITS_PER_WORD))) !== 0;
  }

  /** The numbers in ascending order. */
  *[Symbol.iterator](): IterableIterator<number> {
    const words = this.#words;
    if (words === undefined) return;
    for (let word = 0; word < words.length; word++) {
      const bits = words[word] ?? 0;
      for (let bit = 0; bit < BITS_PER_WORD; bit++) {
        if ((bits & (1 << bit)) !== 0) yield word * BITS_PER_WORD + bit;
      }
    }
  }

  #withCapacity(words: number): Uint32Array {
    const current = this.#words;
    if (current !== undefined && current.length >= words) return current;
    const grown = new Uint32Array(Math.max(words, (current?.length ?? 0) * 2, FIRST_CAPACITY_WORDS));
    if (current !== undefined) grown.set(current);
    this.#words = grown;
    return grown;
  }
}
