import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { DfError } from '@dragonfly/errors';

/**
 * Kinds of addresses.
 *
 * - `loopback` this machine
 * - `link-local` one network segment; most cloud metadata services live here
 * - `private` RFC 1918, RFC 6598 (carrier-grade NAT) and unique local addresses
 * - `metadata` the metadata services of clouds at addresses that look like others; never covered by another kind
 * - `reserved` unspecified, multicast, broadcast, documentation, benchmarking and other unusable ranges
 * - `global` the rest
 */
export type AddressKind = 'loopback' | 'link-local' | 'private' | 'metadata' | 'reserved' | 'global';

/** Kinds that an operator may allow. `reserved` can only be reached by naming a range. */
export type AllowedAddressKind = 'loopback' | 'link-local' | 'private' | 'metadata';

/** Which addresses may be reached beside the global ones. */
export interface AddressPolicy {
  /** @default none: only global addresses */
  readonly allow?: readonly AllowedAddressKind[];
  /** Ranges that are always allowed, e.g. `10.1.0.0/16` or a single address. @default none */
  readonly allowedRanges?: readonly string[];
}

/** Ranges by kind; the first kind that holds an address wins. Source: the IANA special-purpose address registries. */
const RANGES: readonly (readonly [Exclude<AddressKind, 'global'>, readonly string[]])[] = [
  [
    'metadata',
    [
      '169.254.169.254/32', // most clouds
      '169.254.170.2/32', // container credentials
      '100.100.100.200/32', // Alibaba Cloud
      '168.63.129.16/32', // Azure
      '192.0.0.192/32', // Oracle Cloud
      'fd00:ec2::254/128', // AWS over IPv6
      'fd20:ce::254/128', // Google Cloud over IPv6
    ],
  ],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', 'fec0::/10']],
  [
    'reserved',
    [
      '0.0.0.0/8',
      '192.0.0.0/24',
      '192.0.2.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '224.0.0.0/4',
      '240.0.0.0/4',
      '::/128',
      '100::/64',
      '2001:db8::/32',
      '3fff::/20',
      'ff00::/8',
    ],
  ],
];

/** Prefixes of IPv6 addresses that carry an IPv4 address, and at which 16-bit group it begins. */
const EMBEDDED_IPV4: readonly { readonly range: BlockList; readonly group: number }[] = [
  { range: blockListOf(['::ffff:0:0/96']), group: 6 }, // IPv4-mapped
  { range: blockListOf(['64:ff9b::/96']), group: 6 }, // NAT64
  { range: blockListOf(['64:ff9b:1::/48']), group: 6 }, // local NAT64, the usual /96 form
  { range: blockListOf(['2002::/16']), group: 1 }, // 6to4
  { range: blockListOf(['::/96']), group: 6 }, // IPv4-compatible, obsolete; after ::1 and ::
];

const KINDS = RANGES.map(([kind, ranges]) => ({ kind, list: blockListOf(ranges) }));

/**
 * What kind of address this is. An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4) is what the IPv4
 * address is.
 * @param address IPv4 or IPv6 text, a zone (`%eth0`) is ignored
 * @throws DfError `invalid-argument` for anything else
 */
export function addressKind(address: string): AddressKind {
  const [ip = ''] = address.split('%');
  if (isIP(ip) === 0) throw new DfError('invalid-argument', `${address} is no IP address`);
  const found = kindOfPlain(ip);
  if (found !== 'global' || isIPv4(ip)) return found;
  for (const { range, group } of EMBEDDED_IPV4) {
    if (range.check(ip, 'ipv6')) return kindOfPlain(ipv4In(ip, group));
  }
  return 'global';
}

/** Decides which addresses outgoing requests may reach. Immutable. */
export class AddressGuard {
  readonly #allow: ReadonlySet<AddressKind>;
  readonly #ranges: BlockList;

  /** @throws DfError `invalid-argument` naming a range that is none */
  constructor(policy: AddressPolicy = {}) {
    this.#allow = new Set<AddressKind>(['global', ...(policy.allow ?? [])]);
    this.#ranges = blockListOf(policy.allowedRanges ?? []);
  }

  /** @returns why the address must not be reached, or undefined when it may be */
  refusal(address: string): string | undefined {
    const [ip = ''] = address.split('%');
    const kind = addressKind(ip);
    if (this.#allow.has(kind)) return undefined;
    // A mapped address is the same host as its IPv4 form, so a range for the latter covers it.
    if (this.#ranges.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')) return undefined;
    return `${kind} addresses are not allowed`;
  }

  /** @throws DfError `permission-denied` naming the address and the host it was found for */
  check(address: string, host: string): void {
    const refusal = this.refusal(address);
    if (refusal === undefined) return;
    const of = host === address ? '' : ` of ${host}`;
    throw new DfError('permission-denied', `address ${address}${of} is refused: ${refusal}`, {
      details: { address, host },
    });
  }
}

function kindOfPlain(ip: string): AddressKind {
  const family = isIPv6(ip) ? 'ipv6' : 'ipv4';
  return KINDS.find(({ list }) => list.check(ip, family))?.kind ?? 'global';
}

/** The IPv4 address in the two groups of an IPv6 address that begin at `group`. */
function ipv4In(ip: string, group: number): string {
  // URL writes every IPv6 address in the one canonical form, an embedded IPv4 address in hexadecimal.
  const canonical = new URL(`http://[${ip}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  const value = [groups[group], groups[group + 1]].map((text) => Number.parseInt(text ?? '0', 16));
  return value.flatMap((word) => [word >> 8, word & 0xff]).join('.');
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [ip = '', prefix, ...rest] = range.split('/');
    const family = isIPv6(ip) ? 'ipv6' : 'ipv4';
    const longest = family === 'ipv6' ? 128 : 32;
    const bits = prefix === undefined ? longest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (isIP(ip) === 0 || rest.length > 0 || bits < 0 || bits > longest) {
      throw new DfError('invalid-argument', `${range} is no address range such as 10.0.0.0/8`);
    }
    list.addSubnet(ip, bits, family);
  }
  return list;
}
