import { type HashRing, type RingPoint, distinct, firstAtOrAfter, sortPoints } from './ring.js';
import { sipHash24 } from './siphash.js';

/** Characters of the task id that the old clients hash. */
const KEY_LENGTH = 5;

const STRING_END = Buffer.from([0xff]);

/**
 * The ring by which clients up to 1.5.1 choose the scheduler of a task. Kept to predict where such clients go; it
 * spreads tasks very unevenly and is not used for anything of ours.
 *
 * Members are scheduler socket addresses, one point each: SipHash-2-4 with the zero key over the bytes that Rust hashes
 * for a socket address (see {@link socketAddressBytes}); position of a key: the same hash over its first five
 * characters and a byte 0xFF. The first point at or after the key owns it.
 */
export class SocketAddressRing implements HashRing {
  readonly members: readonly string[];
  private readonly points: readonly RingPoint<bigint>[];

  /**
   * @param members `ip:port`, IPv6 in brackets; host names are not allowed
   * @throws RangeError for a member that is no socket address
   */
  constructor(members: Iterable<string>) {
    this.members = distinct(members);
    this.points = sortPoints(
      this.members.map((member) => ({ position: sipHash24(socketAddressBytes(member)), member })),
    );
  }

  get(key: string): string | undefined {
    return firstAtOrAfter(this.points, prefixPosition(key))?.member;
  }
}

/** Position of a key on the {@link SocketAddressRing}. */
export function prefixPosition(key: string): bigint {
  const prefix = [...key].slice(0, KEY_LENGTH).join('');
  return sipHash24(Buffer.concat([Buffer.from(prefix), STRING_END]));
}

/**
 * What Rust feeds to a hasher for a socket address.
 *
 * Layout (little endian but for the address): IPv4: 0 u64 | 4 octets | port u16. IPv6: 1 u64 | 16 octets | port u16 |
 * flow information u32 | scope u32, the last two 0.
 *
 * @throws RangeError when the text is no `ip:port`
 */
export function socketAddressBytes(address: string): Buffer {
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<v4>[0-9.]+)):(?<port>[0-9]{1,5})$/.exec(address);
  const port = Number(match?.groups?.port);
  const octets = octetsOf(match?.groups?.v6, match?.groups?.v4);
  if (octets === undefined || !(port <= 0xffff)) {
    throw new RangeError(`"${address}" is not a socket address (ip:port, IPv6 in brackets)`);
  }
  const isV4 = octets.length === 4;
  const bytes = Buffer.alloc(8 + octets.length + 2 + (isV4 ? 0 : 8));
  bytes.writeBigUInt64LE(isV4 ? 0n : 1n, 0);
  octets.copy(bytes, 8);
  bytes.writeUInt16LE(port, 8 + octets.length);
  return bytes;
}

function octetsOf(v6: string | undefined, v4: string | undefined): Buffer | undefined {
  if (v4 !== undefined) {
    const parts = v4.split('.').map(Number);
    return parts.length === 4 &&
      v4.split('.').every((part) => /^[0-9]{1,3}$/.test(part)) &&
      parts.every((n) => n <= 255)
      ? Buffer.from(parts)
      : undefined;
  }
  if (v6 === undefined) return undefined;
  // The URL parser knows all IPv6 spellings; what it returns has at most one "::" and no embedded IPv4 address.
  const url = URL.parse(`http://[${v6}]/`);
  if (url === null) return undefined;
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const octets = Buffer.alloc(16);
  groups.forEach((group, index) => octets.writeUInt16BE(Number.parseInt(group, 16), index * 2));
  return octets;
}
