import type { PieceRecord } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';

/** The store keeps plain numbers. */
const BACK_TO_SOURCE: number = commonV2.TrafficType.BACK_TO_SOURCE;

/** Where the bytes of a request came from. */
export type TrafficOrigin = 'local' | 'source' | 'peer' | 'seed';

/** Bytes by origin. */
export type Traffic = Record<TrafficOrigin, number>;

export function noTraffic(): Traffic {
  return { local: 0, source: 0, peer: 0, seed: 0 };
}

/** Where a piece came from that was fetched just now. Peer ids of seed peers end with `-seed`. */
export function originOf(record: Pick<PieceRecord, 'trafficType' | 'parentId'>): Exclude<TrafficOrigin, 'local'> {
  if (record.trafficType === BACK_TO_SOURCE || record.parentId === '') return 'source';
  return record.parentId.endsWith('-seed') ? 'seed' : 'peer';
}

/** The number of `common.v2.TrafficType` for an origin. */
export function trafficTypeOf(origin: TrafficOrigin): commonV2.TrafficType {
  switch (origin) {
    case 'local':
      return commonV2.TrafficType.LOCAL_PEER;
    case 'source':
      return commonV2.TrafficType.BACK_TO_SOURCE;
    case 'peer':
    case 'seed':
      return commonV2.TrafficType.REMOTE_PEER;
  }
}
