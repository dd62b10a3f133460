import type { JobContext, JobHandler } from '@dragonfly/jobs';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { GcService } from '../gc/gc.service.js';
import { Logger } from '../logger.js';
import { MeteringCollector } from '../metering/metering-collector.js';
import { SYNC_PEERS_TASK } from '../peers/peer-sightings.js';
import { PeerSync } from '../peers/peer-sync.js';
import { TriggerRuns } from '../triggers/trigger-runs.js';
import { TRIGGER_TASK, TriggersService } from '../triggers/triggers.service.js';
import { WebhookSender } from '../webhooks/webhook-sender.js';
import { JobQueues } from './job-parts.js';
import { JobReconciler } from './job-reconciler.js';
import { JobRunner } from './job-runner.js';
import { RUN_KIND } from './run-queue.js';

const HOUR_MS = 3_600_000;
/** Jobs, messages and periodic tasks at a time in one manager. */
const CONCURRENCY = { jobs: 16, webhooks: 8, periodic: 4 };
const RECONCILE_INTERVAL_MS = 30_000;
/** Pause between two looks whether the store of the queues still has the schedules. */
const KEEP_INTERVAL_MS = 60_000;

/** A task that one of the managers does again and again. */
export interface PeriodicTask {
  readonly name: string;
  readonly everyMs: number;
  readonly run: JobHandler;
}

/** Intervals that the configuration sets. */
export class PeriodicIntervals {
  constructor(
    readonly syncPeersMs: number,
    readonly meteringMs: number,
  ) {}
}

/** What is done again and again, by one manager at a time. Intervals as the original has them. */
@Injectable()
export class PeriodicTasks {
  constructor(
    private readonly gc: GcService,
    private readonly peers: PeerSync,
    private readonly metering: MeteringCollector,
    private readonly triggers: TriggersService,
    private readonly runs: TriggerRuns,
    private readonly intervals: PeriodicIntervals,
  ) {}

  /** What has a rhythm of its own: triggers are put in by their schedules. */
  get own(): { readonly name: string; readonly run: JobHandler } {
    return {
      name: TRIGGER_TASK,
      run: async ({ payload, signal }) => {
        await this.runs.fire(Number(payload['trigger_id']), signal);
      },
    };
  }

  /** Brings the schedules of triggers in line with their rows. */
  arm(): Promise<void> {
    return this.triggers.armAll();
  }

  all(): PeriodicTask[] {
    return [
      { name: 'gc-job', everyMs: 3 * HOUR_MS, run: () => this.gc.runPeriodic('job') },
      { name: 'gc-audit', everyMs: 6 * HOUR_MS, run: () => this.gc.runPeriodic('audit') },
      {
        name: 'metering',
        everyMs: this.intervals.meteringMs,
        run: ({ signal }) => this.metering.collect(signal),
      },
      {
        name: SYNC_PEERS_TASK,
        everyMs: this.intervals.syncPeersMs,
        run: async () => {
          await this.peers.sync([]);
        },
      },
    ];
  }
}

/** Starts what works on the queues of this manager. */
@Injectable()
export class JobWorkers implements OnModuleDestroy {
  private keepTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly queues: JobQueues,
    private readonly runner: JobRunner,
    private readonly webhooks: WebhookSender,
    private readonly reconciler: JobReconciler,
    private readonly periodic: PeriodicTasks,
    private readonly log: Logger,
  ) {}

  async start(): Promise<void> {
    await this.queues.jobs.work({
      handlers: { [RUN_KIND]: (job) => this.runner.run(job) },
      concurrency: CONCURRENCY.jobs,
    });
    await this.queues.webhooks.work({
      handlers: { webhook: (job) => this.webhooks.deliver(job) },
      concurrency: CONCURRENCY.webhooks,
    });
    const tasks: PeriodicTask[] = [
      { name: 'reconcile', everyMs: RECONCILE_INTERVAL_MS, run: () => this.reconciler.reconcile() },
      ...this.periodic.all(),
    ];
    const handlers = Object.fromEntries([...tasks, this.periodic.own].map((task) => [task.name, this.guarded(task)]));
    await this.queues.periodic.work({ handlers, concurrency: CONCURRENCY.periodic });
    await this.arm(tasks);
    // Not only at the next tick: what was left over is taken up when the manager is up.
    await this.reconciler.reconcile();
    this.keepTimer = setInterval(() => void this.keep(tasks), KEEP_INTERVAL_MS);
    this.keepTimer.unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.keepTimer);
  }

  /** Schedules are in the queues' store, which may lose them (a Redis that keeps nothing over its restart). */
  private async keep(tasks: readonly PeriodicTask[]): Promise<void> {
    try {
      const names = new Set(await this.queues.periodic.schedules());
      if (tasks.some(({ name }) => !names.has(name))) {
        this.log.warn({ queue: 'periodic' }, 'the queue has lost its schedules; they are put in again');
        await this.arm(tasks);
        await this.reconciler.reconcile();
      }
    } catch (error) {
      this.log.debug({ err: error }, 'the schedules could not be looked at');
    }
  }

  private async arm(tasks: readonly PeriodicTask[]): Promise<void> {
    for (const { name, everyMs } of tasks) {
      await this.queues.periodic.schedule(name, { kind: name, payload: {}, everyMs });
    }
    await this.periodic.arm();
  }

  /** A failure is told here and tried again at the next tick; the queue need not know. */
  private guarded(task: Pick<PeriodicTask, 'name' | 'run'>): JobHandler {
    return async (job: JobContext) => {
      try {
        await task.run(job);
      } catch (error) {
        job.signal.throwIfAborted();
        this.log.warn({ err: error, task: task.name }, 'periodic task failed');
      }
    };
  }
}
