import { DfError } from '@dragonfly/errors';
import { msToDuration, type commonV2, type Empty, type schedulerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { backoffMs, sleep } from '../backoff.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';

const CALL_DEADLINE_MS = 10_000;
/** A stopping daemon does not wait longer for schedulers. */
const LEAVE_DEADLINE_MS = 2000;
/** First pause after a failed announcement; doubles up to 30 s (or the interval, if that is shorter). */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;

export interface HostAnnouncerOptions {
  /** Makes the announcement of this moment. */
  readonly hostNow: () => Promise<commonV2.Host>;
  readonly hostId: string;
  readonly intervalMs: number;
  readonly schedulers: () => readonly SchedulerLink[];
  readonly log: Logger;
  /** A scheduler has taken an announcement. */
  readonly onAnnounced?: (link: SchedulerLink) => void;
  /** Told after every round and after every announcement out of turn. */
  readonly onState: (announced: number, known: number) => void;
  /** A scheduler has taken the announcement that knew nothing of this host: it is new, or has lost its memory. */
  readonly onHostKnown: (link: SchedulerLink) => void;
}

/**
 * Keeps this host known to its schedulers: each hears of it as soon as it becomes usable, then at every interval. One that
 * does not take the announcement is told again, with growing pauses.
 */
export class HostAnnouncer {
  private readonly stopped = new AbortController();
  private readonly announced = new Set<SchedulerLink>();
  private running: Promise<void> | undefined;
  private isPaused = true;

  constructor(private readonly options: HostAnnouncerOptions) {}

  /** Announces to all, and goes on doing so. The server must serve by now: schedulers call back at once. */
  start(): void {
    this.isPaused = false;
    this.running = this.run();
  }

  /** Announces to one scheduler now. @throws DfError when it refuses or cannot be reached */
  async announceTo(link: SchedulerLink, signal: AbortSignal): Promise<void> {
    const host = await this.options.hostNow();
    await unary<schedulerV2.AnnounceHostRequest, Empty>(
      link.client.announceHost.bind(link.client),
      { host, interval: msToDuration(this.options.intervalMs) },
      { deadlineMs: CALL_DEADLINE_MS, signal },
    );
    const isNew = !this.announced.has(link);
    this.announced.add(link);
    this.options.onAnnounced?.(link);
    this.report();
    if (isNew) this.options.onHostKnown(link);
  }

  /** The same to one that says that it does not know this host. @throws DfError */
  async announceAgain(link: SchedulerLink, signal: AbortSignal): Promise<void> {
    this.announced.delete(link);
    await this.announceTo(link, signal);
  }

  /** A scheduler became usable. It may have been restarted and know nothing. */
  onUsable(link: SchedulerLink): void {
    this.announced.delete(link);
    if (!this.isPaused) void this.tryAnnounce(link);
  }

  /** The set of schedulers changed. */
  onChange(): void {
    const usable = new Set(this.options.schedulers());
    for (const link of this.announced) if (!usable.has(link)) this.announced.delete(link);
    this.report();
  }

  /** Takes this host away from every scheduler. Best effort. */
  async leave(): Promise<void> {
    await Promise.all(
      this.options.schedulers().map(async (link) => {
        try {
          await unary<schedulerV2.DeleteHostRequest, Empty>(
            link.client.deleteHost.bind(link.client),
            { hostId: this.options.hostId },
            { deadlineMs: LEAVE_DEADLINE_MS },
          );
        } catch (error) {
          this.options.log.debug({ scheduler: link.address, err: error }, 'a scheduler was not told of leaving');
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.isPaused = true;
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { intervalMs } = this.options;
    let failures = 0;
    do {
      const links = [...this.options.schedulers()];
      const results = await Promise.all(links.map((link) => this.tryAnnounce(link)));
      failures = results.every((isDone) => isDone) ? 0 : failures + 1;
    } while (
      await sleep(
        failures === 0 ? intervalMs : backoffMs(failures, RETRY_FIRST_MS, Math.min(RETRY_MAX_MS, intervalMs)),
        this.stopped.signal,
      )
    );
  }

  private async tryAnnounce(link: SchedulerLink): Promise<boolean> {
    try {
      await this.announceTo(link, this.stopped.signal);
      return true;
    } catch (caught) {
      if (this.stopped.signal.aborted) return false;
      this.announced.delete(link);
      this.options.log.warn(
        { scheduler: link.address, reason: DfError.from(caught).message },
        'the scheduler did not take the announcement',
      );
      this.report();
      return false;
    }
  }

  private report(): void {
    this.options.onState(this.announced.size, this.options.schedulers().length);
  }
}
