import type { RecordFields, RecordStore } from '@dragonfly/kv';
import type { DurableKeys } from './durable-kind.js';
import {
  type DurablePeer,
  type DurableTask,
  peerFields,
  peerOfFields,
  taskFields,
  taskOfFields,
} from './durable-records.js';
import type { DurableTaskState } from './durable-states.js';
import { reached } from './store-reach.js';

/** Peers of one task or host that are looked at; of more, some at random. */
const MAX_PEERS = 1_000;

/** Replicas of a task, counted. */
export interface ReplicaCounts {
  /** Peers that are to keep the content. */
  readonly persistent: number;
  /** All peers that have it, or are about to. */
  readonly all: number;
}

/**
 * Durable tasks and their peers in the shared store, each for what is left of the task's time to live.
 *
 * Every method rejects with DfError `unavailable` when the store is away or silent, within its deadline.
 */
export class DurableStore {
  /** @param nowMs the clock by which tasks age, in ms since the epoch */
  constructor(
    private readonly records: RecordStore,
    private readonly keys: DurableKeys,
    private readonly nowMs: () => number,
  ) {}

  async task(id: string): Promise<DurableTask | undefined> {
    const record = await reached(this.records.read(this.keys.task(id)));
    const task = record && taskOfFields(record);
    // The store forgets it by itself; its clock may be behind.
    return task !== undefined && this.nowMs() < task.createdAtMs + task.ttlMs ? task : undefined;
  }

  /** @returns the task, or `'exists'` when it is there in a state that the upload may not begin in */
  async createTask(task: DurableTask): Promise<DurableTask | 'exists'> {
    const isWritten = await reached(
      this.records.writeIf(
        this.keys.task(task.id),
        { field: 'state', isOneOf: [undefined, 'Pending', 'Failed'] },
        taskFields(task),
        { ttlMs: this.#leftMs(task) },
      ),
    );
    return isWritten ? task : 'exists';
  }

  /** Moves the task from one state to another; false when it was in another one, or has gone. */
  async moveTask(task: DurableTask, from: DurableTaskState, to: DurableTaskState): Promise<boolean> {
    return reached(
      this.records.writeIf(
        this.keys.task(task.id),
        { field: 'state', isOneOf: [from] },
        { state: to, updated_at: this.#now() },
      ),
    );
  }

  async deleteTask(id: string): Promise<void> {
    await reached(
      Promise.all([
        this.records.delete(this.keys.task(id)),
        this.records.delete(this.keys.peersOfTask(id)),
        this.records.delete(this.keys.persistentPeersOfTask(id)),
      ]),
    );
  }

  async replicas(taskId: string): Promise<ReplicaCounts> {
    const [persistent, all] = await reached(
      Promise.all([
        this.records.memberCount(this.keys.persistentPeersOfTask(taskId)),
        this.records.memberCount(this.keys.peersOfTask(taskId)),
      ]),
    );
    return { persistent, all };
  }

  /** Notes that replicas of a task are missing, so that a restart does not forget to make them; or that none are. */
  async noteShort(taskId: string, isShort: boolean): Promise<void> {
    const { records, keys } = this;
    if (isShort) await reached(records.addMember(keys.shortOfReplicas, taskId));
    else await reached(records.removeMember(keys.shortOfReplicas, taskId));
  }

  /** @returns ids of tasks with missing replicas, as noted by any scheduler of the cluster, at most `limit` */
  async shortOfReplicas(limit: number): Promise<string[]> {
    return reached(this.records.members(this.keys.shortOfReplicas, limit));
  }

  async peer(id: string): Promise<DurablePeer | undefined> {
    const record = await reached(this.records.read(this.keys.peer(id)));
    return record && peerOfFields(record);
  }

  /** Writes a new peer, or anew one that has failed. @returns false when the id is taken */
  async createPeer(peer: DurablePeer, task: DurableTask): Promise<boolean> {
    const ttl = { ttlMs: this.#leftMs(task) };
    const isWritten = await reached(
      this.records.writeIf(
        this.keys.peer(peer.id),
        { field: 'state', isOneOf: [undefined, 'Pending', 'Failed'] },
        peerFields(peer),
        ttl,
      ),
    );
    if (!isWritten) return false;
    const sets = [
      this.keys.peersOfTask(task.id),
      this.keys.peersOfHost(peer.hostId),
      ...(peer.isPersistent ? [this.keys.persistentPeersOfTask(task.id)] : []),
    ];
    await reached(Promise.all(sets.map((set) => this.records.addMember(set, peer.id, ttl))));
    return true;
  }

  /** Writes what has changed of a peer; nothing when it has been deleted. */
  async updatePeer(peer: DurablePeer): Promise<void> {
    // Whether it is a replica is written by `makePersistent` alone, and stands in a set besides.
    const { persistent: _kept, ...fields } = peerFields(peer) as Record<string, string | Buffer>;
    await this.#change(peer.id, fields);
  }

  /** The peer has become a replica. */
  async makePersistent(peer: DurablePeer, task: DurableTask): Promise<void> {
    if (!(await this.#change(peer.id, { persistent: '1', updated_at: this.#now() }))) return;
    await reached(
      this.records.addMember(this.keys.persistentPeersOfTask(task.id), peer.id, { ttlMs: this.#leftMs(task) }),
    );
  }

  /** The peer has nothing to give and never will: it counts no more, and is kept for whoever asks about it. */
  async retirePeer(peer: DurablePeer): Promise<void> {
    await this.updatePeer(peer);
    await this.#leaveSets(peer);
  }

  async deletePeer(peer: DurablePeer): Promise<void> {
    await reached(this.records.delete(this.keys.peer(peer.id)));
    await this.#leaveSets(peer);
  }

  async peersOfTask(taskId: string): Promise<DurablePeer[]> {
    return this.#peersIn(this.keys.peersOfTask(taskId));
  }

  async peersOfHost(hostId: string): Promise<DurablePeer[]> {
    return this.#peersIn(this.keys.peersOfHost(hostId));
  }

  async #peersIn(set: string): Promise<DurablePeer[]> {
    const ids = await reached(this.records.members(set, MAX_PEERS));
    const records = await reached(this.records.readAll(ids.map((id) => this.keys.peer(id))));
    // A member without a record has outlived it: its set lives as long as its longest-lived peer.
    return records.flatMap((record) => (record && peerOfFields(record)) ?? []);
  }

  #change(peerId: string, fields: RecordFields): Promise<boolean> {
    return reached(this.records.writeIf(this.keys.peer(peerId), { field: 'id', isOneOf: [peerId] }, fields));
  }

  async #leaveSets(peer: DurablePeer): Promise<void> {
    const sets = [
      this.keys.peersOfTask(peer.taskId),
      this.keys.persistentPeersOfTask(peer.taskId),
      this.keys.peersOfHost(peer.hostId),
    ];
    await reached(Promise.all(sets.map((set) => this.records.removeMember(set, peer.id))));
  }

  /** Above 0, as it must be: a task that is over by our clock goes at once. By a clock put back it lives no longer. */
  #leftMs(task: DurableTask): number {
    return Math.min(task.ttlMs, Math.max(1, task.createdAtMs + task.ttlMs - this.nowMs()));
  }

  #now(): string {
    return new Date(this.nowMs()).toISOString();
  }
}
