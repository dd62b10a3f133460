import { DfError } from '@dragonfly/errors';
import { decideEvictions, type EvictionReason, type GcPolicy } from './eviction.js';
import type { PieceStore } from './piece-store.js';
import type { StoredTask } from './stored-task.js';
import type { StoreLog } from './task-types.js';

export interface GarbageCollectorOptions {
  readonly store: PieceStore;
  readonly policy: GcPolicy;
  readonly log: StoreLog;
  readonly nowMs?: () => number;
  /** Told after each eviction (to take the task back at the scheduler, say); its failure is logged, not fatal. */
  readonly onEvicted?: (task: StoredTask, reason: EvictionReason) => void | Promise<void>;
}

export interface GcReport {
  readonly evictedTasks: number;
  readonly evictedBytes: number;
  readonly usagePercent: number;
  /** Bytes that should have been freed but are in use or must be kept. */
  readonly shortBytes: number;
}

/** Applies `decideEvictions` to a store. The caller owns the interval. */
export class GarbageCollector {
  readonly #options: GarbageCollectorOptions;

  constructor(options: GarbageCollectorOptions) {
    this.#options = options;
  }

  /** One round. @throws DfError `cancelled` between two evictions when the signal fires */
  async run(signal?: AbortSignal): Promise<GcReport> {
    const { store, policy, log } = this.#options;
    const nowMs = (this.#options.nowMs ?? Date.now)();
    const candidates = store.list().map((task) => ({
      kind: task.kind,
      id: task.id,
      storedBytes: task.storedBytes,
      createdAtMs: task.meta.createdAtMs,
      updatedAtMs: task.updatedAtMs,
      isFinished: task.isComplete,
      hasFailed: task.failure !== undefined,
      isInUse: task.isInUse,
      isPersistent: task.meta.persistent ?? false,
      ttlMs: task.meta.ttlMs,
    }));
    const decision = decideEvictions(candidates, await store.usage(), policy, nowMs);
    let evictedTasks = 0;
    let evictedBytes = 0;
    for (const { kind, id, reason } of decision.evict) {
      if (signal?.aborted) throw DfError.from(signal.reason, 'cancelled');
      const task = store.get(kind, id);
      const bytes = task?.storedBytes ?? 0;
      // Somebody may have begun to use it since the decision: then it stays.
      if (task === undefined || !(await store.evict(kind, id))) continue;
      evictedTasks += 1;
      evictedBytes += bytes;
      log.info({ taskId: id, kind, reason, bytes }, 'task evicted');
      await this.#tell(task, reason);
    }
    if (decision.shortBytes > 0) {
      log.warn({ shortBytes: decision.shortBytes }, 'the disk is too full and nothing else may be evicted');
    }
    return { evictedTasks, evictedBytes, usagePercent: decision.usagePercent, shortBytes: decision.shortBytes };
  }

  async #tell(task: StoredTask, reason: EvictionReason): Promise<void> {
    try {
      await this.#options.onEvicted?.(task, reason);
    } catch (error) {
      this.#options.log.warn({ taskId: task.id, error: DfError.from(error).message }, 'an eviction was not announced');
    }
  }
}
