import type { RecordFields, StoredRecord } from '@dragonfly/kv';
import { PieceSet } from '@dragonfly/scheduling';
import {
  DURABLE_PEER_TRANSITIONS,
  DURABLE_TASK_TRANSITIONS,
  type DurablePeerState,
  type DurableTaskState,
} from './durable-states.js';
import { decodePieces, encodePieces } from './piece-bitset.js';

/** A durable task as the store keeps it. 64-bit quantities stay bigint: they come from the wire and go back to it. */
export interface DurableTask {
  readonly id: string;
  readonly state: DurableTaskState;
  /** Hosts that are to keep the content, the one that brought it in among them; ≥ 1. */
  readonly replicaCount: bigint;
  readonly contentLengthBytes: bigint;
  readonly pieceCount: number;
  /** From creation on. */
  readonly ttlMs: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Where a persistent task's content lives. */
  readonly url: string;
  readonly region: string;
  readonly endpoint: string;
  /** Of a persistent cache task. */
  readonly tag: string;
  readonly application: string;
  readonly pieceLengthBytes: bigint;
}

/** A peer of a durable task as the store keeps it. */
export interface DurablePeer {
  readonly id: string;
  readonly taskId: string;
  readonly hostId: string;
  readonly state: DurablePeerState;
  /** It keeps the content for the task's whole time to live: it is a replica. */
  readonly isPersistent: boolean;
  readonly pieces: PieceSet;
  /** Parents that it is not to be offered again. */
  readonly blockedParents: readonly string[];
  /** Time from creation to success; 0 before. */
  readonly costMs: number;
  /** Pieces it fetches at once. */
  readonly concurrentPieceCount: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

const NS_PER_MS = 1_000_000;

// Names and forms of the fields are those of Dragonfly's scheduler: its manager reads them, and state written by it is
// read here. Durations are integers of nanoseconds, times RFC 3339, flags 1 and 0.

export function taskFields(task: DurableTask): RecordFields {
  return {
    id: task.id,
    state: task.state,
    persistent_replica_count: String(task.replicaCount),
    content_length: String(task.contentLengthBytes),
    total_piece_count: String(task.pieceCount),
    ttl: String(task.ttlMs * NS_PER_MS),
    created_at: new Date(task.createdAtMs).toISOString(),
    updated_at: new Date(task.updatedAtMs).toISOString(),
    url: task.url,
    region: task.region,
    endpoint: task.endpoint,
    tag: task.tag,
    application: task.application,
    piece_length: String(task.pieceLengthBytes),
  };
}

/** @returns undefined for a record that cannot be read: as good as absent */
export function taskOfFields(record: StoredRecord): DurableTask | undefined {
  const id = textOf(record, 'id');
  const state = textOf(record, 'state');
  const createdAtMs = Date.parse(textOf(record, 'created_at'));
  if (id === '' || !isTaskState(state) || Number.isNaN(createdAtMs)) return undefined;
  return {
    id,
    state,
    replicaCount: integerOf(record, 'persistent_replica_count'),
    contentLengthBytes: integerOf(record, 'content_length'),
    pieceCount: Number(integerOf(record, 'total_piece_count')),
    ttlMs: Number(integerOf(record, 'ttl') / BigInt(NS_PER_MS)),
    createdAtMs,
    updatedAtMs: timeOf(record, 'updated_at', createdAtMs),
    url: textOf(record, 'url'),
    region: textOf(record, 'region'),
    endpoint: textOf(record, 'endpoint'),
    tag: textOf(record, 'tag'),
    application: textOf(record, 'application'),
    pieceLengthBytes: integerOf(record, 'piece_length'),
  };
}

export function peerFields(peer: DurablePeer): RecordFields {
  return {
    id: peer.id,
    task_id: peer.taskId,
    host_id: peer.hostId,
    state: peer.state,
    persistent: peer.isPersistent ? '1' : '0',
    finished_pieces: encodePieces(peer.pieces),
    block_parents: JSON.stringify(peer.blockedParents),
    cost: String(Math.round(peer.costMs * NS_PER_MS)),
    concurrent_piece_count: String(peer.concurrentPieceCount),
    created_at: new Date(peer.createdAtMs).toISOString(),
    updated_at: new Date(peer.updatedAtMs).toISOString(),
  };
}

/** @returns undefined for a record that cannot be read: as good as absent */
export function peerOfFields(record: StoredRecord): DurablePeer | undefined {
  const id = textOf(record, 'id');
  const state = textOf(record, 'state');
  const createdAtMs = Date.parse(textOf(record, 'created_at'));
  if (id === '' || !isPeerState(state) || Number.isNaN(createdAtMs)) return undefined;
  return {
    id,
    taskId: textOf(record, 'task_id'),
    hostId: textOf(record, 'host_id'),
    state,
    isPersistent: ['1', 'true'].includes(textOf(record, 'persistent')),
    pieces: decodePieces(record.get('finished_pieces')),
    blockedParents: namesOf(textOf(record, 'block_parents')),
    costMs: Number(integerOf(record, 'cost')) / NS_PER_MS,
    concurrentPieceCount: Number(integerOf(record, 'concurrent_piece_count')),
    createdAtMs,
    updatedAtMs: timeOf(record, 'updated_at', createdAtMs),
  };
}

/** A field as text; empty when it is not there. */
export function textOf(record: StoredRecord, field: string): string {
  return record.get(field)?.toString() ?? '';
}

function integerOf(record: StoredRecord, field: string): bigint {
  const text = textOf(record, field);
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

function timeOf(record: StoredRecord, field: string, otherwiseMs: number): number {
  const ms = Date.parse(textOf(record, field));
  return Number.isNaN(ms) ? otherwiseMs : ms;
}

function namesOf(json: string): string[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
  } catch {
    return []; // Nothing is known to be blocked; at worst a parent is tried once more.
  }
}

function isTaskState(text: string): text is DurableTaskState {
  return Object.hasOwn(DURABLE_TASK_TRANSITIONS, text);
}

function isPeerState(text: string): text is DurablePeerState {
  return Object.hasOwn(DURABLE_PEER_TRANSITIONS, text);
}
