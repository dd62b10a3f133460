import { MAX_PIECE_COUNT, PieceSet } from '@dragonfly/scheduling';

// Layout of a set of pieces in the store, as Go's bits-and-blooms/bitset writes it (big endian):
// number of bits u64 | words u64 …, ⌈bits / 64⌉ of them; piece n is bit n mod 64 of word ⌊n / 64⌋, lowest first.

const HEADER_BYTES = 8;
const WORD_BITS = 64;
const WORD_BYTES = 8;

export function encodePieces(pieces: PieceSet): Buffer {
  let bits = 0;
  for (const number of pieces) bits = number + 1;
  const buffer = Buffer.alloc(HEADER_BYTES + Math.ceil(bits / WORD_BITS) * WORD_BYTES);
  buffer.writeBigUInt64BE(BigInt(bits));
  for (const number of pieces) {
    const byte = byteOf(number);
    buffer.writeUInt8(buffer.readUInt8(byte) | (1 << (number % 8)), byte);
  }
  return buffer;
}

/** Bytes that are no such set hold no pieces. */
export function decodePieces(bytes: Buffer | undefined): PieceSet {
  const pieces = new PieceSet();
  if (bytes === undefined || bytes.length < HEADER_BYTES) return pieces;
  const bits = Math.min(
    Number(bytes.readBigUInt64BE()),
    Math.floor((bytes.length - HEADER_BYTES) / WORD_BYTES) * WORD_BITS,
    MAX_PIECE_COUNT,
  );
  for (let number = 0; number < bits; number++) {
    if ((bytes.readUInt8(byteOf(number)) & (1 << (number % 8))) !== 0) pieces.add(number);
  }
  return pieces;
}

/** Offset of the byte that holds a piece's bit: the lowest bits of a word stand in its last byte. */
function byteOf(number: number): number {
  const word = Math.floor(number / WORD_BITS);
  return HEADER_BYTES + word * WORD_BYTES + (WORD_BYTES - 1 - Math.floor((number % WORD_BITS) / 8));
}
