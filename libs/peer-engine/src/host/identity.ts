import { hostname as osHostname, networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { hostId, peerId, type HostId, type PeerId } from '@dragonfly/ids';

/** Who this daemon is towards schedulers, the manager and other peers. */
export interface HostIdentity {
  /** Advertised address, IPv6 without brackets. */
  readonly ip: string;
  readonly hostname: string;
  readonly hostId: HostId;
  /** A fresh id; every download attempt has its own. */
  newPeerId(): PeerId;
}

export interface IdentityOptions {
  /** `host.ip`; absent: the first address of this machine that is not loopback. */
  readonly ip?: string | null | undefined;
  /** `host.hostname`; absent: that of the operating system. */
  readonly hostname?: string | null | undefined;
  readonly prefersIpv6: boolean;
  readonly isSeed: boolean;
  /** @default those of this machine */
  readonly interfaces?: NodeJS.Dict<NetworkInterfaceInfo[]>;
}

/** Who this host is to schedulers and peers, for as long as the daemon runs. */
export function resolveIdentity(options: IdentityOptions): HostIdentity {
  const ip = options.ip ?? firstAddress(options.interfaces ?? networkInterfaces(), options.prefersIpv6);
  const hostname = options.hostname ?? osHostname();
  return {
    ip,
    hostname,
    hostId: hostId(ip, hostname, options.isSeed),
    newPeerId: () => peerId(ip, hostname, options.isSeed),
  };
}

/** The first outward address of the wanted family; loopback when the machine has no other. */
function firstAddress(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>, prefersIpv6: boolean): string {
  const family = prefersIpv6 ? 'IPv6' : 'IPv4';
  const outward = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === family && !address.internal && !address.address.startsWith('fe80:'));
  return outward?.address ?? (prefersIpv6 ? '::1' : '127.0.0.1');
}
