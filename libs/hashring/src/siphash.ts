const MASK = 0xffff_ffff_ffff_ffffn;

/** The 128-bit key of SipHash as two little-endian words. The rings use the zero key. */
export interface SipKey {
  readonly k0: bigint;
  readonly k1: bigint;
}

/** Key of the scheduler rings. */
export const ZERO_SIP_KEY: SipKey = { k0: 0n, k1: 0n };

/**
 * SipHash-2-4 (Aumasson and Bernstein): two rounds for each 8-byte word, four at the end, 64-bit result.
 *
 * Written with pairs of unsigned 32-bit halves: about ten times as fast as BigInt arithmetic.
 *
 * @returns an unsigned 64-bit value
 */
export function sipHash24(data: Uint8Array, key: SipKey = ZERO_SIP_KEY): bigint {
  const state = new SipState(key);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const wholeWords = data.byteLength - (data.byteLength % 8);
  for (let at = 0; at < wholeWords; at += 8) {
    state.compress(view.getUint32(at, true), view.getUint32(at + 4, true));
  }
  // The last word: the remaining bytes, and the length modulo 256 in the highest byte.
  const last = new DataView(new ArrayBuffer(8));
  for (let at = wholeWords; at < data.byteLength; at++) last.setUint8(at - wholeWords, view.getUint8(at));
  last.setUint8(7, data.byteLength & 0xff);
  state.compress(last.getUint32(0, true), last.getUint32(4, true));
  return state.finish();
}

/** The four 64-bit words v0 … v3, each as a low and a high half. All halves are kept as signed 32-bit integers. */
class SipState {
  private l0: number;
  private h0: number;
  private l1: number;
  private h1: number;
  private l2: number;
  private h2: number;
  private l3: number;
  private h3: number;

  constructor(key: SipKey) {
    // The constants spell "somepseudorandomlygeneratedbytes".
    [this.l0, this.h0] = halves(key.k0 ^ 0x736f6d6570736575n);
    [this.l1, this.h1] = halves(key.k1 ^ 0x646f72616e646f6dn);
    [this.l2, this.h2] = halves(key.k0 ^ 0x6c7967656e657261n);
    [this.l3, this.h3] = halves(key.k1 ^ 0x7465646279746573n);
  }

  compress(low: number, high: number): void {
    this.l3 ^= low;
    this.h3 ^= high;
    this.round();
    this.round();
    this.l0 ^= low;
    this.h0 ^= high;
  }

  finish(): bigint {
    this.l2 ^= 0xff;
    for (let i = 0; i < 4; i++) this.round();
    const low = (this.l0 ^ this.l1 ^ this.l2 ^ this.l3) >>> 0;
    const high = (this.h0 ^ this.h1 ^ this.h2 ^ this.h3) >>> 0;
    return (BigInt(high) << 32n) | BigInt(low);
  }

  private round(): void {
    let { l0, h0, l1, h1, l2, h2, l3, h3 } = this;
    let low: number;
    let swap: number;

    // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
    low = (l0 >>> 0) + (l1 >>> 0);
    h0 = (h0 + h1 + (low > 0xffffffff ? 1 : 0)) | 0;
    l0 = low | 0;
    swap = (l1 << 13) | (h1 >>> 19);
    h1 = ((h1 << 13) | (l1 >>> 19)) ^ h0;
    l1 = swap ^ l0;
    swap = l0;
    l0 = h0;
    h0 = swap;

    // v2 += v3; v3 = rotl(v3, 16) ^ v2
    low = (l2 >>> 0) + (l3 >>> 0);
    h2 = (h2 + h3 + (low > 0xffffffff ? 1 : 0)) | 0;
    l2 = low | 0;
    swap = (l3 << 16) | (h3 >>> 16);
    h3 = ((h3 << 16) | (l3 >>> 16)) ^ h2;
    l3 = swap ^ l2;

    // v0 += v3; v3 = rotl(v3, 21) ^ v0
    low = (l0 >>> 0) + (l3 >>> 0);
    h0 = (h0 + h3 + (low > 0xffffffff ? 1 : 0)) | 0;
    l0 = low | 0;
    swap = (l3 << 21) | (h3 >>> 11);
    h3 = ((h3 << 21) | (l3 >>> 11)) ^ h0;
    l3 = swap ^ l0;

    // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
    low = (l2 >>> 0) + (l1 >>> 0);
    h2 = (h2 + h1 + (low > 0xffffffff ? 1 : 0)) | 0;
    l2 = low | 0;
    swap = (l1 << 17) | (h1 >>> 15);
    h1 = ((h1 << 17) | (l1 >>> 15)) ^ h2;
    l1 = swap ^ l2;
    swap = l2;
    l2 = h2;
    h2 = swap;

    this.l0 = l0;
    this.h0 = h0;
    this.l1 = l1;
    this.h1 = h1;
    this.l2 = l2;
    this.h2 = h2;
    this.l3 = l3;
    this.h3 = h3;
  }
}

function halves(word: bigint): [low: number, high: number] {
  const value = word & MASK;
  return [Number(value & 0xffff_ffffn) | 0, Number(value >> 32n) | 0];
}
