import fc from 'fast-check';
import { type SipKey, sipHash24, ZERO_SIP_KEY } from './siphash.js';

/** The algorithm written down once more, plainly, in 64-bit arithmetic. */
function plainSipHash24(data: Uint8Array, key: SipKey): bigint {
  const mask = (1n << 64n) - 1n;
  const rotate = (value: bigint, bits: bigint) => ((value << bits) | (value >> (64n - bits))) & mask;
  let v0 = key.k0 ^ 0x736f6d6570736575n;
  let v1 = key.k1 ^ 0x646f72616e646f6dn;
  let v2 = key.k0 ^ 0x6c7967656e657261n;
  let v3 = key.k1 ^ 0x7465646279746573n;
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & mask;
      v1 = rotate(v1, 13n) ^ v0;
      v0 = rotate(v0, 32n);
      v2 = (v2 + v3) & mask;
      v3 = rotate(v3, 16n) ^ v2;
      v0 = (v0 + v3) & mask;
      v3 = rotate(v3, 21n) ^ v0;
      v2 = (v2 + v1) & mask;
      v1 = rotate(v1, 17n) ^ v2;
      v2 = rotate(v2, 32n);
    }
  };
  const padded = Buffer.alloc((Math.floor(data.length / 8) + 1) * 8);
  padded.set(data);
  padded[padded.length - 1] = data.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  v2 ^= 0xffn;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

describe('sipHash24', () => {
  // From the authors' reference implementation: key bytes 00 01 … 0f, input bytes 00 01 … (n-1), result little endian.
  it.each([
    [0, '310e0edd47db6f72'],
    [1, 'fd67dc93c539f874'],
    [2, '5a4fa9d909806c0d'],
    [3, '2d7efbd796666785'],
    [4, 'b7877127e09427cf'],
    [5, '8da699cd64557618'],
    [6, 'cee3fe586e46c9cb'],
    [7, '37d1018bf50002ab'],
    [8, '6224939a79f5f593'],
    [15, 'e545be4961ca29a1'],
  ])('gives the reference value for %i bytes', (length, expected) => {
    const key = { k0: 0x0706050403020100n, k1: 0x0f0e0d0c0b0a0908n };
    const hash = Buffer.alloc(8);
    hash.writeBigUInt64LE(
      sipHash24(
        Uint8Array.from({ length }, (_, index) => index),
        key,
      ),
    );
    expect(hash.toString('hex')).toBe(expected);
  });

  it('agrees with the plain form on any bytes and keys', () => {
    const words = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), words, words, (data, k0, k1) => {
        expect(sipHash24(data, { k0, k1 })).toBe(plainSipHash24(data, { k0, k1 }));
      }),
    );
  });

  it('reads no byte outside the array', () => {
    const around = Uint8Array.from({ length: 32 }, (_, index) => index);
    const inside = around.subarray(5, 18);
    const before = sipHash24(inside);
    around.fill(0xff, 0, 5).fill(0xff, 18);
    expect(sipHash24(inside)).toBe(before);
    expect(sipHash24(inside, ZERO_SIP_KEY)).toBe(before);
  });
});
