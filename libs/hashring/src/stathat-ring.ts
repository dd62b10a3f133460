import { crc32 } from 'node:zlib';
import { type HashRing, type RingPoint, distinct, firstAtOrAfter, sortPoints } from './ring.js';

/** Points of each member. */
const REPLICAS = 20;

/**
 * The ring by which a scheduler chooses the seed peer of a task ("stathat" algorithm).
 *
 * Members are `ip:port` of seed peers (IPv6 in brackets). Point of a member: CRC-32 (IEEE) of the decimal replica number
 * 0 … 19 directly followed by the member; position of a key: CRC-32 of the whole task id. The first point *after* the
 * key owns it.
 */
export class StathatRing implements HashRing {
  readonly members: readonly string[];
  private readonly points: readonly RingPoint<number>[];

  /** @param members `ip:port`; duplicates count once, a later member takes a point that two share */
  constructor(members: Iterable<string>) {
    this.members = distinct(members);
    this.points = sortPoints(
      this.members.flatMap((member) =>
        Array.from({ length: REPLICAS }, (_, replica) => ({ position: crc32(`${replica}${member}`), member })),
      ),
    );
  }

  get(key: string): string | undefined {
    // Strictly greater: the first point at or after the next integer.
    return firstAtOrAfter(this.points, crc32(key) + 1)?.member;
  }
}
