import { arch, release } from 'node:os';
import type { commonV2 } from '@dragonfly/proto';
import type { RoleProfile } from '../role-profile.js';
import type { HostFigures } from './host-figures.js';
import type { HostIdentity } from './identity.js';
import type { NetworkRates } from './network-monitor.js';

/** Version on the wire; the prefix tells our programs from the original ones. */
export const GIT_VERSION = 'dfts-0.1.0';

/** What of a host stays the same while the daemon runs. */
export interface HostFacts {
  readonly profile: RoleProfile;
  readonly identity: HostIdentity;
  /** Port of the upload gRPC service, which children and schedulers call. */
  readonly uploadPort: number;
  /** 0 while no proxy runs. */
  readonly proxyPort: number;
  readonly idc?: string | null | undefined;
  readonly location?: string | null | undefined;
  readonly schedulerClusterId?: number | null | undefined;
  readonly isSharingDisabled: boolean;
  /** `/etc/os-release` VERSION_ID, when there is one. */
  readonly platformVersion?: string | undefined;
  /** Name of the instance: `<namespace>-<pod>` in Kubernetes, else the host name. */
  readonly instanceName?: string | undefined;
}

/** The message that AnnounceHost carries. */
export function hostMessage(facts: HostFacts, figures: HostFigures, rates: NetworkRates): commonV2.Host {
  return {
    id: facts.identity.hostId,
    type: facts.profile.hostType,
    hostname: facts.identity.hostname,
    name: facts.instanceName ?? facts.identity.hostname,
    ip: facts.identity.ip,
    port: facts.uploadPort,
    downloadPort: facts.uploadPort,
    proxyPort: facts.proxyPort,
    os: 'linux',
    platform: 'linux',
    platformFamily: 'unix',
    platformVersion: facts.platformVersion ?? '',
    kernelVersion: release(),
    cpu: figures.cpu,
    memory: figures.memory,
    disk: figures.disk,
    network: {
      ...networkMessage(rates),
      idc: facts.idc ?? undefined,
      location: facts.location ?? undefined,
    },
    build: { gitVersion: GIT_VERSION, platform: arch() },
    schedulerClusterId: BigInt(facts.schedulerClusterId ?? 0),
    disableShared: facts.isSharingDisabled,
  };
}

/** The part of a host that SyncHost sends: only its bandwidths. */
export function networkMessage(rates: NetworkRates): commonV2.Network {
  return {
    tcpConnectionCount: 0,
    uploadTcpConnectionCount: 0,
    maxRxBandwidth: BigInt(rates.maxRxBitsPerSecond),
    rxBandwidth: BigInt(rates.rxBitsPerSecond),
    maxTxBandwidth: BigInt(rates.maxTxBitsPerSecond),
    txBandwidth: BigInt(rates.txBitsPerSecond),
  };
}
