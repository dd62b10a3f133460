import type { StoredRecord } from '@dragonfly/kv';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import { json, time } from '../rest/shared-bodies.js';

const PeerBody = bodyType(
  'PersistentCachePeer',
  z.object({
    id: z.string(),
    persistent: z.boolean(),
    /** Base64 of the set, as Go's bitset writes it. */
    finished_pieces: z.string(),
    state: z.string(),
    block_parents: z.array(z.string()),
    cost: z.int(),
    created_at: time(),
    updated_at: time(),
    host: json(),
  }),
);
export type PersistentCachePeerBody = z.output<typeof PeerBody>;

export const PersistentCacheTaskBody = bodyType(
  'PersistentCacheTask',
  z.object({
    id: z.string(),
    persistent_replica_count: z.int(),
    tag: z.string(),
    application: z.string(),
    piece_length: z.int(),
    content_length: z.int(),
    total_piece_count: z.int(),
    state: z.string(),
    ttl: z.int(),
    created_at: time(),
    updated_at: time(),
    peers: z.array(PeerBody),
  }),
);
export type PersistentCacheTaskBody = z.output<typeof PersistentCacheTaskBody>;

/** A field of a record that a scheduler wrote; absent ones are empty. */
export function textOf(record: StoredRecord, name: string): string {
  return record.get(name)?.toString() ?? '';
}

function integerOf(record: StoredRecord, name: string): number {
  const value = Number(textOf(record, name));
  return Number.isSafeInteger(value) ? value : 0;
}

function timeOf(record: StoredRecord, name: string): string {
  const value = new Date(textOf(record, name));
  return jsonTime(Number.isNaN(value.getTime()) ? null : value);
}

export function taskBody(record: StoredRecord, peers: PersistentCachePeerBody[]): PersistentCacheTaskBody {
  return {
    id: textOf(record, 'id'),
    persistent_replica_count: integerOf(record, 'persistent_replica_count'),
    tag: textOf(record, 'tag'),
    application: textOf(record, 'application'),
    piece_length: integerOf(record, 'piece_length'),
    content_length: integerOf(record, 'content_length'),
    total_piece_count: integerOf(record, 'total_piece_count'),
    state: textOf(record, 'state'),
    ttl: integerOf(record, 'ttl'),
    created_at: timeOf(record, 'created_at'),
    updated_at: timeOf(record, 'updated_at'),
    peers,
  };
}

export function peerBody(record: StoredRecord, host: StoredRecord | undefined): PersistentCachePeerBody {
  return {
    id: textOf(record, 'id'),
    persistent: textOf(record, 'persistent') === '1',
    finished_pieces: (record.get('finished_pieces') ?? Buffer.alloc(0))
      .toString('base64')
      .replaceAll('+', '-')
      .replaceAll('/', '_'),
    state: textOf(record, 'state'),
    block_parents: listOf(textOf(record, 'block_parents')),
    cost: integerOf(record, 'cost'),
    created_at: timeOf(record, 'created_at'),
    updated_at: timeOf(record, 'updated_at'),
    host: host ? hostBody(host) : {},
  };
}

function listOf(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    // A record that cannot be read has none.
    return [];
  }
}

/** Parts of a host that are objects of their own in the API; their fields carry the name in front in the store. */
const HOST_PARTS = ['cpu_times', 'cpu', 'memory', 'network', 'disk', 'build'] as const;
const HOST_TEXTS = new Set(
  ['id', 'type', 'hostname', 'ip', 'os', 'platform', 'platform_family', 'platform_version', 'kernel_version'].concat([
    'network_location',
    'network_idc',
    'build_git_version',
    'build_git_commit',
    'build_go_version',
    'build_platform',
  ]),
);

/** The host as nested objects: `cpu_times_user` of the store is `cpu.times.user` of the API. */
function hostBody(record: StoredRecord): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  const parts: Record<string, Record<string, unknown>> = {};
  for (const name of record.keys()) {
    const part = HOST_PARTS.find((one) => name.startsWith(`${one}_`));
    const value = hostValue(record, name);
    if (part) {
      (parts[part] ??= {})[name.slice(part.length + 1)] = value;
    } else {
      body[name] = value;
    }
  }
  const { cpu_times: times, ...others } = parts;
  return { ...body, ...others, ...(times ? { cpu: { ...others['cpu'], times } } : {}) };
}

function hostValue(record: StoredRecord, name: string): unknown {
  if (name.endsWith('_at')) {
    return timeOf(record, name);
  }
  if (name === 'disable_shared') {
    return textOf(record, name) === '1';
  }
  const number = Number(textOf(record, name));
  return HOST_TEXTS.has(name) || Number.isNaN(number) ? textOf(record, name) : number;
}
