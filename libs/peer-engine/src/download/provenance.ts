import type { StoredTask } from '@dragonfly/piece-store';
import { originOf } from './traffic.js';

/** Parents that an error names; the rest is summed up. */
const MAX_NAMED_PARENTS = 5;

/** Who the bytes of a stored content came from. */
export interface Provenance {
  readonly sourceBytes: number;
  /** By peer id. */
  readonly seeds: ReadonlyMap<string, number>;
  readonly peers: ReadonlyMap<string, number>;
}

export function provenanceOf(task: Pick<StoredTask, 'pieces'>): Provenance {
  const seeds = new Map<string, number>();
  const peers = new Map<string, number>();
  let sourceBytes = 0;
  for (const record of task.pieces()) {
    const { parentId, lengthBytes } = record;
    const origin = originOf(record);
    if (origin === 'source') sourceBytes += lengthBytes;
    if (origin === 'seed') seeds.set(parentId, (seeds.get(parentId) ?? 0) + lengthBytes);
    if (origin === 'peer') peers.set(parentId, (peers.get(parentId) ?? 0) + lengthBytes);
  }
  return { sourceBytes, seeds, peers };
}

/** For people: `4096 bytes from the source, 8192 from peer 10.0.0.7-node-7-…`. */
export function provenanceText({ sourceBytes, seeds, peers }: Provenance): string {
  const named = [
    ...[...seeds].map(([id, bytes]) => `${bytes} from seed peer ${id}`),
    ...[...peers].map(([id, bytes]) => `${bytes} from peer ${id}`),
  ];
  const more = named.length - MAX_NAMED_PARENTS;
  return [
    ...(sourceBytes > 0 ? [`${sourceBytes} bytes from the source`] : []),
    ...named.slice(0, MAX_NAMED_PARENTS),
    ...(more > 0 ? [`the rest from ${more} more`] : []),
  ].join(', ');
}
