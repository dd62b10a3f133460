import { type HashRing, type RingPoint, distinct, firstAtOrAfter, membersFrom, sortPoints } from './ring.js';
import { sipHash24 } from './siphash.js';

/** Points of each member on the scheduler ring of clients from 1.5.10. */
export const SCHEDULER_VIRTUAL_NODES = 512;

/** Rust ends the bytes of a hashed string with this byte. */
const STRING_END = Buffer.from([0xff]);

/**
 * The ring by which a client (1.5.10 and later, and ours) chooses the scheduler of a task.
 *
 * Members are scheduler host names (`ip:port` where the name is empty). Point of a member: SipHash-2-4 with the zero key
 * over the replica number (u64, little endian), the name and a byte 0xFF; position of a key: the same hash over the
 * whole task id and 0xFF. The first point at or after the key owns it.
 */
export class SiphashRing implements HashRing {
  readonly members: readonly string[];
  private readonly points: readonly RingPoint<bigint>[];

  /**
   * @param members host names; duplicates count once
   * @param virtualNodes points of each member. @default 512: what every client of a cluster must use to agree
   */
  constructor(members: Iterable<string>, virtualNodes: number = SCHEDULER_VIRTUAL_NODES) {
    this.members = distinct(members);
    this.points = sortPoints(
      this.members.flatMap((member) =>
        Array.from({ length: virtualNodes }, (_, replica) => ({ position: memberPosition(replica, member), member })),
      ),
    );
  }

  get(key: string): string | undefined {
    return firstAtOrAfter(this.points, keyPosition(key))?.member;
  }

  /** All members: the owner of the key, then the one who would own it without the owner, and so on. */
  order(key: string): string[] {
    return membersFrom(this.points, keyPosition(key), this.members.length);
  }
}

/** Position of a member's replica on the {@link SiphashRing}. */
export function memberPosition(replica: number, member: string): bigint {
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(BigInt(replica));
  return sipHash24(Buffer.concat([number, Buffer.from(member), STRING_END]));
}

/** Position of a key on the {@link SiphashRing}. */
export function keyPosition(key: string): bigint {
  return sipHash24(Buffer.concat([Buffer.from(key), STRING_END]));
}
