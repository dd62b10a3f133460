/**
 * A 32-bit hash of a text: FNV-1a, then the finaliser of MurmurHash3, without which the high bits of similar texts are
 * alike. Not for secrets.
 * @param seed another seed gives an independent hash
 * @returns 0 … 2^32 - 1
 */
export function hash32(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return mix32(hash);
}

/** Spreads every bit of a 32-bit number over all of them. */
export function mix32(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
