import { DfError } from '@dragonfly/errors';
import type { RecordStore } from '@dragonfly/kv';
import type { Clock, Peer, Task, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import { decodeHolders, encodeHolders, type Holder, type HolderRecord, MAX_HOLDERS } from './holder-record.js';

/** What is told lives so long without being told again ... */
const RECORD_TTL_MS = 10 * 60_000;
/** ... and is told again so often, as long as it is true. */
const RENEW_INTERVAL_MS = RECORD_TTL_MS / 2;
/** News of a task are gathered for so long. */
const GATHER_MS = 100;
/** A task is told of at most this often; its first holder is told at once. */
const TASK_INTERVAL_MS = 1000;
/** Tasks that this scheduler tells of, those with the latest news; bounds memory here and in the store. */
const MAX_TASKS = 10_000;
/** Writes that are on their way at once. */
const MAX_CONCURRENT_WRITES = 32;
/** Peers of a task that are looked at to find some worth naming. */
const MAX_LOOKED_AT = 64;
/** After a failure the store is left alone for this long. */
const STORE_PAUSE_MS = 3000;

export interface HolderBoardOptions {
  readonly records: RecordStore;
  /** Begins every key; the same for the schedulers of one cluster. */
  readonly prefix: string;
  /** Tells this scheduler from the others of its cluster, best also after a restart. */
  readonly name: string;
  /** Whether this scheduler serves the peer itself: it does not repeat what others told it. */
  readonly isOwn: (peer: Peer) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Told {
  readonly atMs: number;
  /** Nothing more is worth telling: as many complete holders as fit. */
  readonly isFull: boolean;
}

/**
 * Where the schedulers of a cluster tell each other which hosts have a task: one record for each task in the store they
 * share, with a field for each scheduler. What stands there is a hint: hosts are asked before they are offered to anybody.
 */
export class HolderBoard {
  readonly #told = new Map<Task, Told>();
  readonly #dirty = new Set<Task>();
  #flushTimer: Timer | undefined;
  #renewTimer: Timer | undefined;
  #pausedUntilMs = 0;
  #isFlushing = false;
  #isClosed = false;

  constructor(private readonly options: HolderBoardOptions) {
    this.#renewLater();
  }

  /** Tasks that are told of, or about to be. */
  get size(): number {
    return this.#told.size;
  }

  /** The task may have one more holder. Costs nothing where there is nothing to tell. */
  changed(task: Task): void {
    if (task.kind !== 'standard' || this.#isClosed || this.#told.get(task)?.isFull === true) return;
    this.#dirty.add(task);
    this.#flushLater(GATHER_MS);
  }

  /**
   * What is told of a task: by the other schedulers, and by this one before it was restarted under the same name. Nothing
   * while the store is away. Never rejects.
   */
  async ask(task: Task): Promise<readonly HolderRecord[]> {
    if (this.#isPaused || this.#isClosed) return [];
    try {
      const fields = await this.options.records.read(this.#key(task.id));
      return Array.from(fields ?? [], ([name, value]) =>
        name === this.options.name && this.#told.has(task) ? undefined : decodeHolders(value.toString()),
      ).filter((record) => record !== undefined);
    } catch (error) {
      this.#pause(error);
      return [];
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#flushTimer?.cancel();
    this.#renewTimer?.cancel();
  }

  #flushLater(delayMs: number): void {
    if (this.#flushTimer !== undefined || this.#isFlushing || this.#isClosed) return;
    this.#flushTimer = this.options.clock.after(delayMs, () => {
      this.#flushTimer = undefined;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    const nowMs = this.options.clock.nowMs();
    const due = this.#isPaused ? [] : [...this.#dirty].filter((task) => this.#isDue(task, nowMs));
    const queue = due.values();
    await Promise.all(
      Array.from({ length: Math.min(MAX_CONCURRENT_WRITES, due.length) }, async () => {
        for (const task of queue) await this.#tell(task, nowMs);
      }),
    );
    this.#isFlushing = false;
    // The oldest news are given up when there are too many: a store that is away must not fill this memory.
    for (const task of this.#dirty) {
      if (this.#dirty.size <= MAX_TASKS) break;
      this.#dirty.delete(task);
    }
    if (this.#dirty.size > 0) this.#flushLater(this.#isPaused ? STORE_PAUSE_MS : TASK_INTERVAL_MS);
  }

  #isDue(task: Task, nowMs: number): boolean {
    const told = this.#told.get(task);
    return told === undefined || nowMs - told.atMs >= TASK_INTERVAL_MS;
  }

  async #tell(task: Task, nowMs: number): Promise<void> {
    if (this.#isPaused) return;
    this.#dirty.delete(task);
    const record = recordOf(task, this.options.isOwn);
    if (record === undefined) {
      this.#told.delete(task);
      return;
    }
    this.#told.delete(task);
    this.#told.set(task, {
      atMs: nowMs,
      isFull: record.holders.length === MAX_HOLDERS && record.holders.every(({ isComplete }) => isComplete),
    });
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= MAX_TASKS) break;
      this.#told.delete(oldest);
    }
    try {
      await this.options.records.write(
        this.#key(task.id),
        { [this.options.name]: encodeHolders(record) },
        { ttlMs: RECORD_TTL_MS },
      );
    } catch (error) {
      this.#told.delete(task);
      this.#dirty.add(task);
      this.#pause(error);
    }
  }

  #renewLater(): void {
    this.#renewTimer = this.options.clock.after(RENEW_INTERVAL_MS, () => {
      for (const task of this.#told.keys()) this.#dirty.add(task);
      if (this.#dirty.size > 0) this.#flushLater(GATHER_MS);
      this.#renewLater();
    });
  }

  get #isPaused(): boolean {
    return this.options.clock.nowMs() < this.#pausedUntilMs;
  }

  #pause(error: unknown): void {
    const { clock, log } = this.options;
    if (!this.#isPaused && !this.#isClosed) {
      log.warn({ reason: DfError.from(error).message }, 'schedulers cannot tell each other which hosts have a task');
    }
    this.#pausedUntilMs = clock.nowMs() + STORE_PAUSE_MS;
  }

  #key(taskId: string): string {
    return `${this.options.prefix}task-holders:${taskId}`;
  }
}

/** @returns undefined when there is nobody to name */
function recordOf(task: Task, isOwn: (peer: Peer) => boolean): HolderRecord | undefined {
  const { contentLengthBytes, pieceLengthBytes, pieceCount } = task;
  if (contentLengthBytes === undefined) return undefined;
  const complete: Holder[] = [];
  const partial: Holder[] = [];
  let looks = MAX_LOOKED_AT;
  for (const peer of task.offerable) {
    if (looks-- <= 0 || complete.length === MAX_HOLDERS) break;
    const isComplete = peer.state === 'Succeeded';
    // One that fetches from parents is not named: theirs are not known over there, so that a circle could come about.
    if (!isOwn(peer) || peer.range !== undefined || !(isComplete || peer.state === 'BackToSource')) continue;
    (isComplete ? complete : partial).push({ hostId: peer.host.id, peerId: peer.id, isComplete });
  }
  const holders = [...complete, ...partial].slice(0, MAX_HOLDERS);
  return holders.length === 0 ? undefined : { contentLengthBytes, pieceLengthBytes, pieceCount, holders };
}
