import type { ApplicationEntity, JsonObject } from '@dragonfly/persistence';
import { commonV2, managerV2, type DeepPartial } from '@dragonfly/proto';
import type { SchedulerInCluster } from '../instances/scheduler-registry.js';
import type { SeedPeerInCluster, SeedPeerWithSchedulers } from '../instances/seed-peer-registry.js';

/** Rows as manager.v2 messages. Configurations travel as JSON text in bytes fields. */

export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** The JSON object in a bytes field; empty bytes are {}. Undefined when it is no JSON object. */
export function jsonObjectOf(bytes: Uint8Array): JsonObject | undefined {
  if (bytes.length === 0) {
    return {};
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param withSeedClientConfig peers in the seed role read their block list from it; the answer to a scheduler does
 * not carry it, as in the original
 */
export function schedulerMessage(
  { scheduler, cluster, seedPeers }: SchedulerInCluster,
  withSeedClientConfig: boolean,
): DeepPartial<managerV2.Scheduler> {
  return {
    id: BigInt(scheduler.id),
    hostname: scheduler.hostName,
    idc: scheduler.idc ?? '',
    location: scheduler.location ?? '',
    ip: scheduler.ip,
    port: scheduler.port,
    state: scheduler.state ?? '',
    schedulerClusterId: BigInt(scheduler.schedulerClusterId),
    schedulerCluster: {
      id: BigInt(cluster.id),
      name: cluster.name,
      bio: cluster.bio ?? '',
      config: jsonBytes(cluster.config),
      clientConfig: jsonBytes(cluster.clientConfig),
      scopes: jsonBytes(cluster.scopes),
      ...(withSeedClientConfig ? { seedClientConfig: jsonBytes(cluster.seedClientConfig) } : {}),
    },
    seedPeers: seedPeers.map((seedPeer) => seedPeerMessage(seedPeer)),
    features: jsonBytes(scheduler.features),
  };
}

export function seedPeerMessage({ seedPeer, cluster }: SeedPeerInCluster): DeepPartial<managerV2.SeedPeer> {
  return {
    id: BigInt(seedPeer.id),
    hostname: seedPeer.hostName,
    type: seedPeer.type ?? '',
    idc: seedPeer.idc ?? '',
    location: seedPeer.location ?? '',
    ip: seedPeer.ip,
    port: seedPeer.port,
    downloadPort: seedPeer.downloadPort,
    state: seedPeer.state ?? '',
    seedPeerClusterId: BigInt(seedPeer.seedPeerClusterId),
    seedPeerCluster: {
      id: BigInt(cluster.id),
      name: cluster.name,
      bio: cluster.bio ?? '',
      config: jsonBytes(cluster.config),
    },
  };
}

export function seedPeerWithSchedulersMessage(found: SeedPeerWithSchedulers): DeepPartial<managerV2.SeedPeer> {
  return {
    ...seedPeerMessage(found),
    schedulers: found.schedulers.map((entry) => schedulerMessage({ ...entry, seedPeers: [] }, false)),
  };
}

export function applicationMessage(row: ApplicationEntity): DeepPartial<managerV2.Application> {
  const urls = Array.isArray(row.priority['urls']) ? (row.priority['urls'] as JsonObject[]) : [];
  return {
    id: BigInt(row.id),
    name: row.name,
    url: row.url,
    bio: row.bio ?? '',
    priority: {
      value: priorityOf(row.priority['value']),
      urls: urls.map((entry) => ({
        regex: typeof entry['regex'] === 'string' ? entry['regex'] : '',
        value: priorityOf(entry['value']),
      })),
    },
  };
}

function priorityOf(value: unknown): commonV2.Priority {
  return typeof value === 'number' && Number.isInteger(value) ? value : commonV2.Priority.LEVEL0;
}
