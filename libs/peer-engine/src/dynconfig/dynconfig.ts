import { DfError } from '@dragonfly/errors';
import { FirstContact, type Logger } from '@dragonfly/telemetry';
import { backoffMs, sleep, within } from '../backoff.js';
import { EMPTY_BLOCK_LIST } from './block-list.js';
import type { ClusterView, DynconfigSource } from './cluster-view.js';
import type { ViewCache } from './view-cache.js';

/** First pause after a refresh that failed or told of no scheduler; doubles up to 5 s. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5000;
/** A source that takes longer for its first answer is waited for in the background. */
const FIRST_ANSWER_MS = 1000;

export interface DynconfigOptions {
  /** Absent: the daemon has neither manager nor schedulers and works alone. */
  readonly source: DynconfigSource | undefined;
  readonly cache: ViewCache;
  readonly refreshIntervalMs: number;
  readonly log: Logger;
  /** Told about every view, the cached one included. */
  readonly onView: (view: ClusterView, origin: 'fresh' | 'cached' | 'alone') => void;
}

/** Keeps the view of the cluster fresh: at start, then at every interval, sooner after a failure. */
export class Dynconfig {
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;
  private current: ClusterView = { schedulers: [], blockList: EMPTY_BLOCK_LIST };
  private readonly contact = new FirstContact();
  private hasCacheProblem = false;
  private isFresh = false;
  /** Ends the pause before the next refresh. */
  private hurry = new AbortController();
  /** The refresh that has not begun yet. */
  private next = Promise.withResolvers<void>();

  constructor(private readonly options: DynconfigOptions) {}

  get view(): ClusterView {
    return this.current;
  }

  /**
   * Makes the first view and returns. A source that does not answer at once is waited for in the background, the view on
   * disk serves meanwhile.
   */
  async start(): Promise<void> {
    const { source, cache } = this.options;
    if (source === undefined) {
      this.apply(this.current, 'alone');
      return;
    }
    const first = this.refresh(source);
    if ((await within(first, FIRST_ANSWER_MS)) !== true) {
      const cached = await cache.read();
      if (cached !== undefined && !this.isFresh) this.apply(cached, 'cached');
    }
    this.running = this.run(source, first);
  }

  /**
   * Something has changed at the source: refreshes now, or once more when a refresh is under way.
   * @returns when that has succeeded or failed
   */
  refreshNow(): Promise<void> {
    this.hurry.abort();
    return this.next.promise;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
    this.next.resolve();
  }

  private async run(source: DynconfigSource, first: Promise<boolean>): Promise<void> {
    const { refreshIntervalMs } = this.options;
    let fruitless = this.isUseful(await first) ? 0 : 1;
    while (!this.stopped.signal.aborted) {
      const longestMs = Math.min(refreshIntervalMs, RETRY_MAX_MS);
      const pauseMs = fruitless === 0 ? refreshIntervalMs : backoffMs(fruitless, RETRY_FIRST_MS, longestMs);
      await sleep(pauseMs, AbortSignal.any([this.stopped.signal, this.hurry.signal]));
      if (this.stopped.signal.aborted) return;
      this.hurry = new AbortController();
      const { resolve } = this.next;
      this.next = Promise.withResolvers();
      fruitless = this.isUseful(await this.refresh(source)) ? 0 : fruitless + 1;
      resolve();
    }
  }

  /** A cluster that has no scheduler yet is about to get one: services start in any order. */
  private isUseful(isRefreshed: boolean): boolean {
    return isRefreshed && this.current.schedulers.length > 0;
  }

  private async refresh(source: DynconfigSource): Promise<boolean> {
    const { cache, log } = this.options;
    let view: ClusterView;
    try {
      view = await source.load(this.stopped.signal);
    } catch (caught) {
      if (!this.stopped.signal.aborted) {
        const reason = DfError.from(caught).message;
        log[this.contact.level]({ source: source.name, reason }, 'cannot refresh the cluster view');
      }
      return false;
    }
    this.contact.made();
    this.isFresh = true;
    this.apply(view, 'fresh');
    await cache.write(view).catch((caught: unknown) => {
      // Once is enough: the directory does not become writable by repeating it.
      if (!this.hasCacheProblem) {
        log.warn({ reason: DfError.from(caught).message }, 'cannot keep the cluster view on disk');
      }
      this.hasCacheProblem = true;
    });
    return true;
  }

  private apply(view: ClusterView, origin: 'fresh' | 'cached' | 'alone'): void {
    this.current = view;
    this.options.onView(view, origin);
  }
}
