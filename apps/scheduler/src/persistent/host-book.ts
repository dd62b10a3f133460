import { asHostId } from '@dragonfly/ids';
import { commonV2 } from '@dragonfly/proto';
import type { SchedulerState } from '../scheduler-state.js';
import { NORMAL_HOST_TYPE } from '../wire/wire-records.js';
import type { DurableHost } from './durable-parents.js';
import type { SharedHosts } from './shared-hosts.js';

/** A host with its announcement. */
export interface KnownHost extends DurableHost {
  readonly isSeed: boolean;
  readonly record: commonV2.Host;
}

/** Hosts that hold, or could hold, durable tasks: those announced here, then those that other schedulers wrote down. */
export class HostBook {
  constructor(
    private readonly state: Pick<SchedulerState, 'resources' | 'hosts'>,
    private readonly shared: SharedHosts | undefined,
  ) {}

  async find(hostId: string): Promise<KnownHost | undefined> {
    const host = this.state.resources.hosts.get(asHostId(hostId));
    if (host !== undefined) return knownHost(this.state.hosts.full(host));
    const record = await this.shared?.find(hostId);
    return record && knownHost(record);
  }

  /** Hosts of many peers, each looked up once. */
  async findAll(hostIds: Iterable<string>): Promise<ReadonlyMap<string, KnownHost>> {
    const ids = [...new Set(hostIds)];
    const hosts = await Promise.all(ids.map((id) => this.find(id)));
    return new Map(hosts.flatMap((host) => (host === undefined ? [] : [[host.id, host] as const])));
  }

  /** All hosts that announce themselves here: every host of a cluster announces itself to every scheduler. */
  announced(): KnownHost[] {
    const { resources, hosts } = this.state;
    return Array.from(resources.hosts.values(), (host) => knownHost(hosts.full(host)));
  }
}

/** What stands for a host that has gone, in records that must name one. */
export function absentHost(hostId: string): KnownHost {
  return knownHost(commonV2.Host.fromPartial({ id: hostId }));
}

function knownHost(record: commonV2.Host): KnownHost {
  return {
    id: record.id,
    isSeed: record.type !== NORMAL_HOST_TYPE,
    isSharingDisabled: record.disableShared,
    idc: record.network?.idc ?? '',
    location: record.network?.location ?? '',
    record,
  };
}
