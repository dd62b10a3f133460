/** Chooses one member for a key so that a change of members moves few keys. */
export interface HashRing {
  /** The members, without duplicates, in the order in which they were given. */
  readonly members: readonly string[];
  /** The member that owns the key; `undefined` only when the ring has no members. */
  get(key: string): string | undefined;
}

/** A position on a ring and the member that stands there. */
export interface RingPoint<Position extends bigint | number> {
  readonly position: Position;
  readonly member: string;
}

/**
 * The points in ascending order. Where several stand at one position the last given one stays, as in the original
 * implementations (they insert into a map).
 */
export function sortPoints<Position extends bigint | number>(
  points: readonly RingPoint<Position>[],
): RingPoint<Position>[] {
  const byPosition = new Map<Position, RingPoint<Position>>();
  for (const point of points) byPosition.set(point.position, point);
  return [...byPosition.values()].sort((left, right) => (left.position < right.position ? -1 : 1));
}

/** The first point at or after the position, or the first of all. `undefined` when there are none. */
export function firstAtOrAfter<Position extends bigint | number>(
  sorted: readonly RingPoint<Position>[],
  position: Position,
): RingPoint<Position> | undefined {
  return sorted[indexAtOrAfter(sorted, position)] ?? sorted[0];
}

/** Every member in the order in which the ring meets them from the position on: each owns what the ones before it leave. */
export function membersFrom<Position extends bigint | number>(
  sorted: readonly RingPoint<Position>[],
  position: Position,
  memberCount: number,
): string[] {
  const start = indexAtOrAfter(sorted, position);
  const met = new Set<string>();
  for (let step = 0; step < sorted.length && met.size < memberCount; step += 1) {
    const point = sorted[(start + step) % sorted.length];
    if (point !== undefined) met.add(point.member);
  }
  return [...met];
}

/** Length of the array when every point lies before the position. */
function indexAtOrAfter<Position extends bigint | number>(
  sorted: readonly RingPoint<Position>[],
  position: Position,
): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const point = sorted[middle];
    if (point !== undefined && point.position < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Members without duplicates, in order of first appearance. */
export function distinct(members: Iterable<string>): readonly string[] {
  return Object.freeze([...new Set(members)]);
}
