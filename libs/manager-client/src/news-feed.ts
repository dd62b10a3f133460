import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { extNotify } from '@dragonfly/proto';
import { readStream } from '@dragonfly/rpc';

/** What a manager tells of. */
export type News = 'config' | 'applications' | 'object-storage' | 'certificates';

/** First and longest pause before the next try to subscribe. */
const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 30_000;
/** A manager that does not know the service is asked again after this long: it may have been replaced. */
const UNSUPPORTED_RETRY_MS = 600_000;
/**
 * News are passed on after a random part of this: thousands of daemons hear of a change in the same millisecond, and each
 * asks the manager next.
 */
const SPREAD_MS = 500;

const KIND_OF = new Map<extNotify.NotificationKind, News>([
  [extNotify.NotificationKind.NOTIFICATION_KIND_CONFIG, 'config'],
  [extNotify.NotificationKind.NOTIFICATION_KIND_APPLICATIONS, 'applications'],
  [extNotify.NotificationKind.NOTIFICATION_KIND_OBJECT_STORAGE, 'object-storage'],
  [extNotify.NotificationKind.NOTIFICATION_KIND_CERTIFICATES, 'certificates'],
]);

export interface NewsFeedOptions {
  /** Closed by its owner, after `stop`. */
  readonly client: extNotify.NotifyServiceClient;
  readonly subscriber: extNotify.SubscribeRequest;
  /** Called once for what has changed since the last call. Must not throw. */
  readonly onNews: (news: ReadonlySet<News>) => void;
  readonly log: { debug(details: object, message: string): void };
  /** @default SPREAD_MS */
  readonly spreadMs?: number;
  /** Uniform in [0, 1). @default Math.random */
  readonly random?: () => number;
  /** Waits between two tries; for tests. @default a timer that does not keep the process alive */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

async function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined); // only the signal ends it early
}

/**
 * Listens to the news of a manager for as long as the process lives. After each connection but the first everything counts as
 * changed: what happened while nobody listened is not told again. A manager without the service is left alone.
 */
export class NewsFeed {
  readonly #stopped = new AbortController();
  readonly #pending = new Set<News>();
  #timer: NodeJS.Timeout | undefined;
  #hasBeenConnected = false;
  #failures = 0;
  readonly #running: Promise<void>;

  private constructor(private readonly options: NewsFeedOptions) {
    this.#running = this.#run();
  }

  static start(options: NewsFeedOptions): NewsFeed {
    return new NewsFeed(options);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const pauseMs = await this.#listen(signal);
      await (this.options.sleep ?? sleepUnlessAborted)(pauseMs, signal);
    }
  }

  /** @returns pause before the next try, in ms */
  async #listen(signal: AbortSignal): Promise<number> {
    const { client, subscriber, log } = this.options;
    try {
      for await (const { kind } of readStream(client.subscribe(subscriber), { signal })) this.#take(kind);
    } catch (caught) {
      const error = DfError.from(caught);
      if (!signal.aborted) log.debug({ reason: error.message }, 'not subscribed to the news of the manager');
      if (error.code === 'unimplemented') return UNSUPPORTED_RETRY_MS;
    }
    this.#failures += 1;
    const fullMs = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#failures - 1, 10));
    return fullMs * (1 - this.#random() / 4);
  }

  #take(kind: extNotify.NotificationKind): void {
    if (kind === extNotify.NotificationKind.NOTIFICATION_KIND_CONNECTED) {
      this.#failures = 0;
      if (this.#hasBeenConnected) for (const news of KIND_OF.values()) this.#tellSoon(news);
      this.#hasBeenConnected = true;
      return;
    }
    const news = KIND_OF.get(kind);
    // A newer manager may know more kinds than we do.
    if (news !== undefined) this.#tellSoon(news);
  }

  #tellSoon(news: News): void {
    this.#pending.add(news);
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        const told = new Set(this.#pending);
        this.#pending.clear();
        this.options.onNews(told);
      },
      this.#random() * (this.options.spreadMs ?? SPREAD_MS),
    ).unref();
  }

  #random(): number {
    return (this.options.random ?? Math.random)();
  }
}
