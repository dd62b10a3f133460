/** @returns the middle value; of an even number of values the mean of the middle two; NaN of none */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param q 0 … 1; interpolates between neighbours */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) return NaN;
  return below + (above - below) * (position - Math.floor(position));
}
