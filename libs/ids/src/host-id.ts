import { randomUUID } from 'node:crypto';
import type { HostId, PeerId } from './brand.js';

/** End of the ids of seed peers. */
const SEED_SUFFIX = '-seed';

/**
 * `<ip>-<hostname>`, and `-seed` behind it for a seed peer.
 *
 * @param ip address that is announced, IPv6 without brackets
 */
export function hostId(ip: string, hostname: string, isSeed: boolean): HostId {
  return `${ip}-${hostname}${isSeed ? SEED_SUFFIX : ''}` as HostId;
}

/**
 * `<ip>-<hostname>-<uuid>`, and `-seed` behind it for a seed peer. One for every download of a task.
 *
 * @param uuid a version 4 UUID. @default a random one
 */
export function peerId(ip: string, hostname: string, isSeed: boolean, uuid: string = randomUUID()): PeerId {
  return `${ip}-${hostname}-${uuid}${isSeed ? SEED_SUFFIX : ''}` as PeerId;
}
