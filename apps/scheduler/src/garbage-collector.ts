import { type Clock, findHostGarbage, findPeerGarbage, findTaskGarbage, type Timer } from '@dragonfly/scheduling';
import type { SchedulerConfig } from './config/scheduler-config.js';
import type { HostService } from './hosts/host-service.js';
import type { DurableEngines } from './persistent/durable-engine.js';
import { deletePeer, type SchedulerState } from './scheduler-state.js';

/** Forgets peers, tasks and hosts that have gone, each on its own interval. */
export class GarbageCollector {
  readonly #timers = new Map<string, Timer>();

  constructor(
    private readonly state: SchedulerState,
    private readonly hosts: HostService,
    private readonly durable: DurableEngines,
    private readonly config: SchedulerConfig['scheduler']['gc'],
  ) {}

  start(): void {
    this.#every('peers', this.config.peerGCInterval, () => {
      this.collectPeers();
    });
    this.#every('tasks', this.config.taskGCInterval, () => {
      this.collectTasks();
    });
    this.#every('hosts', this.config.hostGCInterval, () => {
      this.collectHosts();
    });
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  collectPeers(): void {
    const { resources, scheduler, clock, log } = this.state;
    const nowMs = clock.nowMs();
    const { expired, leaving } = findPeerGarbage(
      resources,
      {
        pieceDownloadTimeoutMs: this.config.pieceDownloadTimeout,
        peerTtlMs: this.config.peerTTL,
        hostTtlMs: this.config.hostTTL,
      },
      nowMs,
    );
    for (const peer of expired) deletePeer(this.state, peer);
    for (const peer of leaving) {
      peer.apply('Leave', nowMs);
      scheduler.left(peer);
    }
    if (expired.length + leaving.length > 0) {
      log.debug({ expired: expired.length, leaving: leaving.length }, 'collected peers');
    }
  }

  collectTasks(): void {
    const tasks = findTaskGarbage(this.state.resources);
    for (const task of tasks) this.state.resources.removeTask(task);
    if (tasks.length > 0) this.state.log.debug({ tasks: tasks.length }, 'collected tasks');
  }

  collectHosts(): void {
    for (const host of findHostGarbage(this.state.resources, this.state.clock.nowMs())) {
      this.hosts.missed(host);
    }
    void this.durable.collectHosts();
  }

  /** Repeats on the injected clock; a run that throws is logged and does not end the repetition. */
  #every(name: string, intervalMs: number, run: () => void): void {
    const { clock, log }: { clock: Clock; log: SchedulerState['log'] } = this.state;
    const timer = clock.after(intervalMs, () => {
      this.#every(name, intervalMs, run);
      try {
        run();
      } catch (error) {
        log.error({ err: error, what: name }, 'garbage collection failed');
      }
    });
    this.#timers.set(name, timer);
  }
}
