import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import type { KeyValueStore } from '@dragonfly/kv';
import type { Clock } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerConfig } from '../config/scheduler-config.js';
import { JournalLeaseBackend } from './journal-backend.js';
import { KvLeaseBackend } from './kv-backend.js';
import { type LeaseBackend, memoryBackend } from './lease-backend.js';
import { SourceLeaseTable } from './lease-table.js';
import { chosenSource, type SourceChoice, type SourceOverride } from './source-choice.js';
import { NO_BUDGET, type OriginBudget, SharedOriginBudget } from './origin-budget.js';

export interface SourceControlOptions {
  readonly config: SchedulerConfig;
  /** What the cluster says in place of `scheduler.sourceLease`; may change at any time. */
  readonly override?: () => SourceOverride | undefined;
  /** Shared with the other schedulers of the cluster; undefined when this one is alone. */
  readonly store: KeyValueStore | undefined;
  /** Where a scheduler that is alone remembers its leases. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Everything that bounds what sources are asked for. */
export class SourceControl {
  private constructor(
    readonly leases: SourceLeaseTable,
    private readonly backend: LeaseBackend,
    private readonly budget: OriginBudget,
    /** Hosts that may read the source of one task at a time, as things stand. */
    readonly readers: () => number,
  ) {}

  static async open(options: SourceControlOptions): Promise<SourceControl> {
    const { config, store, clock, log } = options;
    const { ttl: ttlMs } = config.scheduler.sourceLease;
    const choice = choiceOf(options);
    const limit = (): number => choice().readers;
    const instance = randomUUID();
    const prefix = `scheduler:${config.manager.schedulerClusterID}:`;
    const backend =
      store === undefined
        ? await openJournal(options)
        : new KvLeaseBackend({ store, prefix, instance, limit, ttlMs, clock, log });
    const budget = new SharedOriginBudget({ limits: choice, store, prefix, instance, clock, log });
    return new SourceControl(new SourceLeaseTable(backend, limit, budget), backend, budget, limit);
  }

  /** Leases of this process alone, that end with it. @param readers hosts at the source of one task at a time */
  static inMemory(readers: number): SourceControl {
    const limit = (): number => readers;
    return new SourceControl(new SourceLeaseTable(memoryBackend, limit), memoryBackend, NO_BUDGET, limit);
  }

  /** @returns when nothing is written any more; leases that are held stay written */
  async close(): Promise<void> {
    this.leases.keepAll();
    this.budget.close();
    await this.backend.close();
  }
}

function choiceOf({ config, override }: SourceControlOptions): () => SourceChoice {
  return () => chosenSource(config.scheduler.sourceLease, override?.());
}

async function openJournal(options: SourceControlOptions): Promise<LeaseBackend> {
  const { config, dataDir, clock, log } = options;
  const { ttl: ttlMs } = config.scheduler.sourceLease;
  const choice = choiceOf(options);
  const limit = (): number => choice().readers;
  const file = path.join(dataDir, 'source-leases.jsonl');
  try {
    return await JournalLeaseBackend.open({ file, limit, ttlMs, clock, log });
  } catch (error) {
    log.warn({ file, reason: DfError.from(error).message }, 'a restart will not know of source leases from before');
    return memoryBackend;
  }
}
