import { DfError } from '@dragonfly/errors';
import { nextState, PieceSet } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { KindMetrics } from '../metrics/kind-metrics.js';
import type { DurableKind } from './durable-kind.js';
import type { DurableUpload, PeerIds, PeerView, TaskView } from './durable-messages.js';
import type { DurablePeer, DurableTask } from './durable-records.js';
import { DURABLE_PEER_TRANSITIONS, DURABLE_TASK_TRANSITIONS, type DurablePeerEvent } from './durable-states.js';
import type { DurableStore } from './durable-store.js';
import { absentHost, type HostBook, type KnownHost } from './host-book.js';
import type { ReplicaGateway } from './replica-gateway.js';
import type { Replicator } from './replicator.js';

/** Daemons that are told at a time to delete their copy of a task. */
const MAX_PARALLEL_DELETIONS = 8;

export interface DurableTasksOptions {
  readonly kind: DurableKind;
  readonly store: DurableStore;
  readonly hosts: HostBook;
  readonly replicator: Replicator;
  readonly gateway: ReplicaGateway;
  readonly metrics: KindMetrics;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/**
 * Uploads, looks and deletions of one kind of durable tasks. Downloads are `DurableSession`.
 *
 * All methods reject with DfError: `not-found`, `already-exists`, `internal` for an event that is illegal in the current
 * state, `unavailable` when the store is away.
 */
export class DurableTasks {
  readonly #abort = new AbortController();
  readonly #background = new Set<Promise<void>>();

  constructor(readonly options: DurableTasksOptions) {}

  /** A host begins to bring the content in: it becomes the first replica. */
  async uploadStarted(upload: DurableUpload): Promise<void> {
    const { store } = this.options;
    await this.host(upload.hostId);
    if ((await store.peer(upload.peerId)) !== undefined) throw this.#exists('peer', upload.peerId);
    const nowMs = this.options.nowMs();
    const task = await store.createTask({
      ...upload.facts,
      id: upload.taskId,
      state: 'Uploading',
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    });
    if (task === 'exists') throw this.#exists('task', upload.taskId);
    const peer = this.newPeer(upload, { isPersistent: true, concurrentPieceCount: 0 }, 'Upload');
    if (await store.createPeer(peer, task)) return;
    await store.moveTask(task, 'Uploading', 'Failed');
    throw this.#exists('peer', upload.peerId);
  }

  /** The content is there. @returns the task; further replicas are made in the background */
  async uploadFinished(ids: PeerIds): Promise<TaskView> {
    const { store, replicator, nowMs } = this.options;
    const task = await this.task(ids.taskId);
    const peer = await this.#peerOf(ids);
    const atMs = nowMs();
    const finished: DurablePeer = {
      ...peer,
      state: this.#next(peer, 'Succeeded'),
      pieces: allPieces(task.pieceCount),
      costMs: Math.max(0, atMs - peer.createdAtMs),
      updatedAtMs: atMs,
    };
    const next = nextState(DURABLE_TASK_TRANSITIONS, task.state, 'Succeeded', `task ${task.id}`);
    if (!(await store.moveTask(task, task.state, next))) throw this.#notFound('task', task.id);
    await store.updatePeer(finished);
    replicator.replicate(task.id);
    return { task: { ...task, state: next, updatedAtMs: atMs }, replicas: await store.replicas(task.id) };
  }

  /** The content will not come. The task may be uploaded again. */
  async uploadFailed(ids: PeerIds, description: string | undefined): Promise<void> {
    const { store, log, kind } = this.options;
    const task = await this.task(ids.taskId);
    const peer = await this.#peerOf(ids);
    const failed = { ...peer, state: this.#next(peer, 'Failed'), updatedAtMs: this.options.nowMs() };
    const next = nextState(DURABLE_TASK_TRANSITIONS, task.state, 'Failed', `task ${task.id}`);
    await store.moveTask(task, task.state, next);
    await store.retirePeer(failed);
    log.info({ taskId: task.id, peerId: peer.id, kind: kind.name, description }, 'upload has failed');
  }

  async statTask(taskId: string): Promise<TaskView> {
    return this.view(await this.task(taskId));
  }

  async statPeer(peerId: string): Promise<PeerView> {
    const { store, hosts } = this.options;
    const peer = await store.peer(peerId);
    if (peer === undefined) throw this.#notFound('peer', peerId);
    const [task, host] = await Promise.all([this.task(peer.taskId), hosts.find(peer.hostId)]);
    return { peer, task: await this.view(task), host: host ?? absentHost(peer.hostId) };
  }

  /** Deletes the task everywhere: a daemon that cannot be reached keeps its copy until its time to live is over. */
  async deleteTask(taskId: string): Promise<void> {
    const { store } = this.options;
    await this.task(taskId);
    const peers = await store.peersOfTask(taskId);
    // First what others look at, so that nobody is sent to a copy that is about to go.
    await store.deleteTask(taskId);
    await Promise.all(peers.map((peer) => store.deletePeer(peer)));
    const hostIds = [...new Set(peers.map(({ hostId }) => hostId))];
    const work = async (): Promise<void> => {
      for (let id = hostIds.pop(); id !== undefined; id = hostIds.pop()) await this.#deleteCopy(id, taskId);
    };
    await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL_DELETIONS, hostIds.length) }, work));
  }

  /** Deletes one peer and its copy; another host takes its place if it was a replica. */
  async deletePeer(ids: PeerIds): Promise<void> {
    const { store, replicator } = this.options;
    const peer = await this.#peerOf(ids);
    await store.deletePeer(peer);
    await this.#deleteCopy(peer.hostId, peer.taskId);
    replicator.replicate(peer.taskId, new Set([peer.hostId]));
  }

  /** A host has left for good: other hosts take the place of its replicas, and its uploads have failed. */
  async hostGone(hostId: string): Promise<void> {
    const { store, replicator } = this.options;
    for (const peer of await store.peersOfHost(hostId)) {
      await store.deletePeer(peer);
      if (peer.state === 'Uploading') {
        const task = await store.task(peer.taskId);
        if (task !== undefined) await store.moveTask(task, 'Uploading', 'Failed');
      }
      if (peer.isPersistent && peer.state === 'Succeeded') replicator.replicate(peer.taskId, new Set([hostId]));
    }
  }

  /** Runs something that nobody waits for; a failure is only logged. */
  inBackground(what: string, work: Promise<void>): void {
    const { log, kind } = this.options;
    const run = work
      .catch((error: unknown) => {
        log.debug({ err: error, kind: kind.name }, `could not ${what}`);
      })
      .finally(() => this.#background.delete(run));
    this.#background.add(run);
  }

  /** Resolves when nothing runs in the background any more, but for replication. */
  async settled(): Promise<void> {
    await Promise.all(this.#background);
  }

  close(): void {
    this.#abort.abort(new DfError('unavailable', 'the scheduler is shutting down'));
    this.options.replicator.close();
  }

  /** @throws DfError `not-found` */
  async host(hostId: string): Promise<KnownHost> {
    const host = await this.options.hosts.find(hostId);
    if (host === undefined) throw this.#notFound('host', hostId);
    return host;
  }

  /** @throws DfError `not-found` */
  async task(taskId: string): Promise<DurableTask> {
    const task = await this.options.store.task(taskId);
    if (task === undefined) throw this.#notFound('task', taskId);
    return task;
  }

  async view(task: DurableTask): Promise<TaskView> {
    return { task, replicas: await this.options.store.replicas(task.id) };
  }

  newPeer(
    ids: PeerIds,
    facts: Pick<DurablePeer, 'isPersistent' | 'concurrentPieceCount'>,
    event: DurablePeerEvent,
  ): DurablePeer {
    const nowMs = this.options.nowMs();
    return {
      ...facts,
      id: ids.peerId,
      taskId: ids.taskId,
      hostId: ids.hostId,
      state: nextState(DURABLE_PEER_TRANSITIONS, 'Pending', event, `peer ${ids.peerId}`),
      pieces: new PieceSet(),
      blockedParents: [],
      costMs: 0,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
  }

  async #deleteCopy(hostId: string, taskId: string): Promise<void> {
    const { hosts, gateway, log, kind } = this.options;
    try {
      const host = await hosts.find(hostId);
      if (host !== undefined) await gateway.delete(host.record, taskId, this.#abort.signal);
    } catch (caught) {
      const error = DfError.from(caught);
      if (error.code === 'not-found') return;
      log.warn({ taskId, hostId, kind: kind.name, reason: error.message }, 'a daemon did not delete its copy');
    }
  }

  /** The peer that the ids name; ids that do not belong together name none. */
  async #peerOf(ids: PeerIds): Promise<DurablePeer> {
    const peer = await this.options.store.peer(ids.peerId);
    if (peer?.taskId !== ids.taskId || peer.hostId !== ids.hostId) throw this.#notFound('peer', ids.peerId);
    return peer;
  }

  #next(peer: DurablePeer, event: DurablePeerEvent): DurablePeer['state'] {
    return nextState(DURABLE_PEER_TRANSITIONS, peer.state, event, `peer ${peer.id}`);
  }

  #notFound(what: 'host' | 'task' | 'peer', id: string): DfError {
    return new DfError('not-found', `${this.#named(what)} ${id} not found`);
  }

  #exists(what: 'task' | 'peer', id: string): DfError {
    return new DfError('already-exists', `${this.#named(what)} ${id} already exists`);
  }

  /** Hosts are the same for all kinds. */
  #named(what: 'host' | 'task' | 'peer'): string {
    return what === 'host' ? what : `${this.options.kind.name} ${what}`;
  }
}

function allPieces(count: number): PieceSet {
  const pieces = new PieceSet();
  for (let number = 0; number < count && (pieces.add(number) || pieces.has(number)); number++);
  return pieces;
}
