/** Bandwidths of a parent in bits per second, as it announces and streams them. */
export interface ParentBandwidth {
  readonly maxTxBitsPerSecond: number;
  readonly txBitsPerSecond: number;
}

/** What a parent that says nothing about its bandwidth is taken for: 10 Gbit/s. */
const UNKNOWN_BANDWIDTH_BITS_PER_SECOND = 10e9;

/**
 * How much a parent is worth asking: what is left of its bandwidth, but never less than a tenth of it, shared among the
 * pieces already asked of it and the one in question.
 * @param inFlight pieces this host is fetching from it now
 */
export function parentWeight(bandwidth: ParentBandwidth | undefined, inFlight: number): number {
  const max = bandwidth?.maxTxBitsPerSecond ?? 0;
  const free =
    max <= 0 ? UNKNOWN_BANDWIDTH_BITS_PER_SECOND : Math.max(max - (bandwidth?.txBitsPerSecond ?? 0), max / 10);
  return free / (inFlight + 1);
}

/**
 * Draws one candidate with a probability in proportion to its weight; all alike when no weight is above zero.
 * @param random in [0, 1). @default Math.random
 */
export function drawByWeight<T>(
  candidates: readonly T[],
  weightOf: (candidate: T) => number,
  random: () => number = Math.random,
): T | undefined {
  const weights = candidates.map((candidate) => Math.max(0, weightOf(candidate)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total <= 0) return candidates[Math.floor(random() * candidates.length)];
  let point = random() * total;
  for (const [index, weight] of weights.entries()) {
    point -= weight;
    if (point < 0) return candidates[index];
  }
  return candidates.at(-1);
}
