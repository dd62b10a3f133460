import type { commonV2 } from '@dragonfly/proto';
import type { JobKind } from './job-spec.js';

/** Progress is told to a follower at most this often. */
const PROGRESS_INTERVAL_MS = 500;

/** Counts of (task, host) pairs, and bytes on all hosts together. */
export interface JobProgress {
  total: number;
  succeeded: number;
  failed: number;
  completedBytes: number;
  /** 0 while unknown; grows as downloads begin. */
  totalBytes: number;
}

/** How one task ended on one host. */
export interface TaskOutcome {
  readonly taskId: string;
  readonly url: string;
  readonly hostId: string;
  readonly hostname: string;
  readonly ip: string;
  readonly isSeed: boolean;
  readonly succeeded: boolean;
  /** Why it failed. */
  readonly description: string;
  readonly contentLengthBytes: number;
  readonly costMs: number;
}

/** A host, and what it holds of the task asked about. */
export interface FoundHost {
  readonly host: commonV2.Host;
  readonly peerId: string;
  readonly isFinished: boolean;
  readonly createdAt: Date | undefined;
  readonly updatedAt: Date | undefined;
}

export type JobResult = 'succeeded' | 'failed' | 'cancelled' | 'timed-out';

/** The end of a job. */
export interface JobEnd {
  readonly result: JobResult;
  readonly description: string;
}

/** What followers are told, in order. */
export type JobNews =
  | { readonly kind: 'progress'; readonly progress: Readonly<JobProgress> }
  | { readonly kind: 'outcome'; readonly outcome: TaskOutcome }
  | { readonly kind: 'hosts'; readonly hosts: readonly FoundHost[] }
  | { readonly kind: 'finished'; readonly end: JobEnd; readonly progress: Readonly<JobProgress> };

/**
 * One run of a job: what it has come to so far, for anybody who wants to know, now or later.
 *
 * Outcomes and hosts are kept once, whoever follows; a slow follower holds up nobody and makes nothing pile up. Their
 * number is bounded by what a job may do.
 */
export class JobRun {
  readonly progress: JobProgress = { total: 0, succeeded: 0, failed: 0, completedBytes: 0, totalBytes: 0 };
  readonly #kept: Extract<JobNews, { kind: 'outcome' | 'hosts' }>[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #abort = new AbortController();
  #end: JobEnd | undefined;
  #finishedAtMs = 0;

  constructor(
    readonly id: string,
    readonly kind: JobKind,
  ) {}

  /** Aborted by {@link cancel}. */
  get cancelSignal(): AbortSignal {
    return this.#abort.signal;
  }

  get end(): JobEnd | undefined {
    return this.#end;
  }

  /** Milliseconds since the epoch; 0 while it runs. */
  get finishedAtMs(): number {
    return this.#finishedAtMs;
  }

  /** How much is kept of it. */
  get entryCount(): number {
    return this.#kept.reduce((sum, news) => sum + (news.kind === 'hosts' ? news.hosts.length : 1), 0);
  }

  get outcomes(): readonly TaskOutcome[] {
    return this.#kept.flatMap((news) => (news.kind === 'outcome' ? [news.outcome] : []));
  }

  get hosts(): readonly FoundHost[] {
    return this.#kept.flatMap((news) => (news.kind === 'hosts' ? news.hosts : []));
  }

  cancel(): void {
    this.#abort.abort();
  }

  addOutcome(outcome: TaskOutcome): void {
    if (outcome.succeeded) this.progress.succeeded += 1;
    else this.progress.failed += 1;
    this.#keep({ kind: 'outcome', outcome });
  }

  addHosts(hosts: readonly FoundHost[]): void {
    if (hosts.length > 0) this.#keep({ kind: 'hosts', hosts });
  }

  finish(end: JobEnd, nowMs: number): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#finishedAtMs = nowMs;
    this.#wake();
  }

  /** Resolves when the run is over. */
  async ended(): Promise<JobEnd> {
    while (this.#end === undefined) await this.#changed(undefined, undefined);
    return this.#end;
  }

  /** Everything from the beginning, then what comes, up to the end. An abort ends it without the last news. */
  async *follow(signal: AbortSignal): AsyncGenerator<JobNews, void, undefined> {
    let told = 0;
    let toldProgress: JobProgress | undefined;
    let toldProgressAtMs = -Infinity;
    while (!signal.aborted) {
      for (let news = this.#kept[told]; news !== undefined; news = this.#kept[told]) {
        told += 1;
        yield news;
      }
      const progress = { ...this.progress };
      if (this.#end !== undefined && told === this.#kept.length) {
        yield { kind: 'finished', end: this.#end, progress };
        return;
      }
      const isDue = performance.now() - toldProgressAtMs >= PROGRESS_INTERVAL_MS;
      if (isDue && (toldProgress === undefined || !isEqual(progress, toldProgress))) {
        toldProgress = progress;
        toldProgressAtMs = performance.now();
        yield { kind: 'progress', progress };
      }
      if (told === this.#kept.length && this.#end === undefined) await this.#changed(PROGRESS_INTERVAL_MS, signal);
    }
  }

  #keep(news: Extract<JobNews, { kind: 'outcome' | 'hosts' }>): void {
    this.#kept.push(news);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }

  async #changed(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs).unref();
      signal?.addEventListener('abort', done, { once: true });
      this.#waiting.add(done);
    });
  }
}

function isEqual(a: JobProgress, b: JobProgress): boolean {
  return (
    a.total === b.total &&
    a.succeeded === b.succeeded &&
    a.failed === b.failed &&
    a.completedBytes === b.completedBytes &&
    a.totalBytes === b.totalBytes
  );
}
