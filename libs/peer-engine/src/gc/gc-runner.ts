import { DfError } from '@dragonfly/errors';
import type { GarbageCollector } from '@dragonfly/piece-store';
import type { Logger } from '@dragonfly/telemetry';
import { sleep } from '../backoff.js';

/** Runs the collector of the store at every interval, the first time at once. */
export class GcRunner {
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;

  constructor(
    private readonly collector: GarbageCollector,
    private readonly intervalMs: number,
    private readonly log: Logger,
  ) {}

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    do {
      try {
        await this.collector.run(signal);
      } catch (caught) {
        if (!signal.aborted) this.log.warn({ reason: DfError.from(caught).message }, 'garbage collection failed');
      }
    } while (await sleep(this.intervalMs, signal));
  }
}
