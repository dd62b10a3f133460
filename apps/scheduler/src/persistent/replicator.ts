import { DfError } from '@dragonfly/errors';
import type { Lock } from '@dragonfly/kv';
import type { Logger } from '@dragonfly/telemetry';
import type { DurableKind } from './durable-kind.js';
import type { DurableTask } from './durable-records.js';
import type { DurableStore } from './durable-store.js';
import type { HostBook, KnownHost } from './host-book.js';
import type { ReplicaGateway } from './replica-gateway.js';

/** Hosts that are made to fetch one task at a time. */
const MAX_PARALLEL = 8;
/** Hosts that are tried for each replica that is missing. */
const TRIES_PER_REPLICA = 3;
/** Replicas that are made in one go, whatever a task asks for. */
const MAX_REPLICAS = 1_000;
/** Tasks that are being replicated at a time; further ones wait. */
const MAX_TASKS = 32;
/** Tasks that wait to be replicated; further ones stand in the store until there is room. */
const MAX_WAITING_TASKS = 10_000;
const LOCK_TTL_MS = 30_000;
/** How long another scheduler that replicates the same task is waited for. */
const LOCK_WAIT_MS = 60_000;

export interface ReplicatorOptions {
  readonly kind: DurableKind;
  readonly store: DurableStore;
  readonly hosts: HostBook;
  readonly gateway: ReplicaGateway;
  /** Shared by all schedulers of the cluster. */
  readonly lock: Lock;
  readonly lockPrefix: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
}

/** A task to work on. */
interface Wanted {
  /** Hosts that are not to get a replica. */
  readonly excludedHostIds: ReadonlySet<string>;
  /** Resolves when the store knows of it, or has not taken it. */
  readonly noted: Promise<void>;
}

/**
 * Brings tasks to the number of replicas they ask for: first by keeping copies that are there, then by making further
 * hosts fetch them. Runs in the background; a task is worked on by one scheduler at a time. Which tasks are short of replicas
 * stands in the store until they are not: a restart goes on where the last run ended.
 */
export class Replicator {
  readonly #abort = new AbortController();
  readonly #waiting = new Map<string, Wanted>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(private readonly options: ReplicatorOptions) {}

  /** Sees to the task's replicas soon. */
  replicate(taskId: string, excludedHostIds: ReadonlySet<string> = new Set()): void {
    if (this.#abort.signal.aborted || this.#waiting.size >= MAX_WAITING_TASKS) return;
    const before = this.#waiting.get(taskId);
    this.#waiting.set(taskId, {
      excludedHostIds: new Set([...(before?.excludedHostIds ?? []), ...excludedHostIds]),
      noted: before?.noted ?? this.#note(taskId, true),
    });
    this.#startNext();
  }

  /**
   * Sees again to tasks that could not be given all their replicas: hosts may have come since, and a scheduler gone.
   * @returns how many there are
   * @throws DfError when the store is away
   */
  async retry(): Promise<number> {
    const taskIds = await this.options.store.shortOfReplicas(MAX_WAITING_TASKS);
    for (const taskId of taskIds) this.replicate(taskId);
    return taskIds.length;
  }

  close(): void {
    this.#waiting.clear();
    this.#abort.abort(new DfError('unavailable', 'the scheduler is shutting down'));
  }

  #startNext(): void {
    for (const [taskId, wanted] of this.#waiting) {
      if (this.#running.size >= MAX_TASKS) return;
      if (this.#running.has(taskId)) continue; // Once more when it has ended: things have changed since it began.
      this.#waiting.delete(taskId);
      const run = this.#run(taskId, wanted).finally(() => {
        this.#running.delete(taskId);
        this.#startNext();
      });
      this.#running.set(taskId, run);
    }
  }

  async #run(taskId: string, { excludedHostIds, noted }: Wanted): Promise<void> {
    const { lock, lockPrefix, kind, log } = this.options;
    const { signal } = this.#abort;
    try {
      await noted;
      const result = await lock.run(
        `${lockPrefix}${taskId}`,
        { ttlMs: LOCK_TTL_MS, waitMs: LOCK_WAIT_MS, signal },
        (lost) => this.#replicate(taskId, excludedHostIds, AbortSignal.any([signal, lost])),
      );
      if (result === 'complete') await this.#note(taskId, false);
      if (result === 'busy') log.info({ taskId, kind: kind.name }, 'another scheduler sees to the replicas');
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, taskId, kind: kind.name }, 'replicas could not be made');
    }
  }

  /** A note that cannot be written is no reason not to make replicas. */
  async #note(taskId: string, isShort: boolean): Promise<void> {
    try {
      await this.options.store.noteShort(taskId, isShort);
    } catch (error) {
      this.options.log.debug({ err: error, taskId }, 'it could not be noted whether a task is short of replicas');
    }
  }

  /** @returns whether nothing is left to do for the task */
  async #replicate(taskId: string, excluded: ReadonlySet<string>, signal: AbortSignal): Promise<'complete' | 'short'> {
    const { store, hosts, kind, log } = this.options;
    const task = await store.task(taskId);
    // One that is still being brought in is replicated when it is there.
    if (task?.state !== 'Succeeded') return 'complete';
    let missing = missingReplicas(task, (await store.replicas(taskId)).persistent);
    if (missing === 0) return 'complete';
    const peers = await store.peersOfTask(taskId);
    const known = await hosts.findAll(peers.map(({ hostId }) => hostId));
    for (const peer of peers) {
      const host = known.get(peer.hostId);
      if (missing === 0) return 'complete';
      if (peer.state !== 'Succeeded' || peer.isPersistent || host === undefined) continue;
      if (host.isSharingDisabled || excluded.has(host.id)) continue;
      if (
        !(await this.#try('keep its copy', host, taskId, (gateway) =>
          gateway.makePersistent(host.record, taskId, signal),
        ))
      ) {
        continue;
      }
      await store.makePersistent(peer, task);
      missing -= 1;
    }
    const holders = new Set(peers.filter(({ state }) => state !== 'Failed').map(({ hostId }) => hostId));
    const free = this.#shuffled(
      hosts.announced().filter((host) => !holders.has(host.id) && !excluded.has(host.id) && hasRoom(host, task)),
    );
    const made = await this.#fetchBy(free.slice(0, missing * TRIES_PER_REPLICA), task, missing, signal);
    log.info({ taskId, kind: kind.name, made, missing: missing - made }, 'replicas have been made');
    return made < missing ? 'short' : 'complete';
  }

  /** @returns how many of the hosts have fetched the task, at most `wanted` */
  async #fetchBy(hosts: KnownHost[], task: DurableTask, wanted: number, signal: AbortSignal): Promise<number> {
    const next = hosts[Symbol.iterator]();
    let made = 0;
    let underWay = 0;
    const work = async (): Promise<void> => {
      while (made + underWay < wanted && !signal.aborted) {
        const { value: host } = next.next();
        if (host === undefined) return;
        underWay += 1;
        const isMade = await this.#try('fetch a replica', host, task.id, (gateway) =>
          gateway.download(host.record, task, signal),
        );
        underWay -= 1;
        if (isMade) made += 1;
      }
    };
    await Promise.all(Array.from({ length: Math.min(wanted, MAX_PARALLEL) }, work));
    return made;
  }

  async #try(
    what: string,
    host: KnownHost,
    taskId: string,
    call: (gateway: ReplicaGateway) => Promise<void>,
  ): Promise<boolean> {
    try {
      await call(this.options.gateway);
      return true;
    } catch (caught) {
      const reason = DfError.from(caught).message;
      this.options.log.info({ taskId, hostId: host.id, reason }, `a host did not ${what}`);
      return false;
    }
  }

  #shuffled(hosts: KnownHost[]): KnownHost[] {
    const { random } = this.options;
    return hosts
      .map((host) => ({ host, place: random() }))
      .sort((left, right) => left.place - right.place)
      .map(({ host }) => host);
  }
}

function missingReplicas(task: DurableTask, persistent: number): number {
  const missing = task.replicaCount - BigInt(persistent);
  if (missing <= 0n) return 0;
  return missing > BigInt(MAX_REPLICAS) ? MAX_REPLICAS : Number(missing);
}

/** A host that does not tell its free disk space is given the benefit of the doubt: its daemon refuses by itself. */
function hasRoom(host: KnownHost, task: DurableTask): boolean {
  const { disk } = host.record;
  return !host.isSharingDisabled && (disk === undefined || disk.free >= task.contentLengthBytes);
}
