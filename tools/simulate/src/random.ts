/** Uniform in [0, 1). */
export type Random = () => number;

/**
 * A generator of random numbers that can be repeated: sfc32 (Doty-Humphrey, PractRand), 128 bits of state, seeded by
 * splitmix32.
 * @param stream another stream of the same seed is independent of this one
 */
export function randomOf(seed: number, stream = 0): Random {
  let mixed = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
  const next = (): number => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let value = mixed ^ (mixed >>> 16);
    value = Math.imul(value, 0x21f0aaad);
    value ^= value >>> 15;
    value = Math.imul(value, 0x735a2d97);
    return (value ^ (value >>> 15)) >>> 0;
  };
  let [a, b, c, counter] = [next(), next(), next(), 1];
  const draw = (): number => {
    const result = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return (result >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < 12; round++) draw();
  return draw;
}

/** Exponentially distributed with this mean. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random()) * mean;
}

/** The members in random order; the list itself is left alone. */
export function shuffled<T>(members: readonly T[], random: Random): T[] {
  const list = [...members];
  for (let index = list.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    const [left, right] = [list[index], list[other]];
    if (left === undefined || right === undefined) continue;
    list[index] = right;
    list[other] = left;
  }
  return list;
}
