import { DfError } from '@dragonfly/errors';
import type { NewsFeed } from '@dragonfly/manager-client';
import type { Clock, Timer } from '@dragonfly/scheduling';
import { FirstContact, type Logger } from '@dragonfly/telemetry';
import { readDynamicConfig, writeDynamicConfig } from './config-file.js';
import type { DynamicConfig, DynamicSettings } from './dynamic-config.js';
import type { KeepAliveStream, ManagerGateway } from './manager-gateway.js';

/** First and longest pause between attempts to reach the manager; doubled each time, with up to half of it at random. */
const BACKOFF = { firstMs: 500, longestMs: 30_000 };
/** Answers in a row that call us inactive before something is done: the manager may answer from a cache. */
const MAX_INACTIVE_COUNT = 2;

export interface ManagerLinkOptions {
  readonly gateway: Pick<ManagerGateway, 'register' | 'fetch' | 'openKeepAlive' | 'listen' | 'close'>;
  readonly settings: DynamicSettings;
  /** Copy of the last configuration for a start without the manager. */
  readonly cacheFile: string;
  readonly refreshIntervalMs: number;
  readonly keepAliveIntervalMs: number;
  /** Something about certificates has changed at the manager. */
  readonly onCertificateNews?: () => void;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** Told of every change: whether this scheduler has been registered, and in words how it stands. */
  readonly onState: (isRegistered: boolean, detail: string | undefined) => void;
}

/**
 * The bond with the manager: registers this scheduler, keeps its row alive and its settings fresh.
 *
 * A manager that cannot be reached delays nothing: the scheduler serves with the last settings it knew. Whenever the
 * keep-alive stream has broken, or the manager has forgotten us, we register again before going on. Once registered the
 * readiness condition stays true: peers can go on without the manager.
 */
export class ManagerLink {
  readonly #abort = new AbortController();
  /** What happens next, by purpose: at most one timer each. */
  readonly #timers = new Map<'connect' | 'beat' | 'refresh', Timer>();
  /** Whether refreshes have begun: after the first registration. */
  #refreshes = false;
  #refreshUnderWay: 'none' | 'one' | 'one-and-another' = 'none';
  #stream: KeepAliveStream | undefined;
  readonly #contact = new FirstContact();
  #hasRegistered = false;
  #failures = 0;
  #inactiveCount = 0;
  #news: Pick<NewsFeed, 'stop'> | undefined;

  constructor(private readonly options: ManagerLinkOptions) {}

  /** Loads the last known settings and begins to connect; does not wait for the manager. */
  async start(): Promise<void> {
    await this.#loadCache();
    this.#news = this.options.gateway.listen((news) => {
      if (news.has('certificates')) this.options.onCertificateNews?.();
      if (!news.has('config') && !news.has('applications')) return;
      // Before the registration has been made there is nothing to ask for.
      if (this.#refreshes) this.#refreshForever();
    }, this.options.log);
    void this.#connect();
  }

  /** Ends the keep-alive stream, so that the manager stops naming this scheduler at once. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#cancelTimers();
    await this.#news?.stop();
    await this.#stream?.end();
    this.options.gateway.close();
  }

  async #connect(): Promise<void> {
    const { gateway, log } = this.options;
    try {
      await gateway.register(this.#abort.signal);
      this.#contact.made();
      if (this.#abort.signal.aborted) return;
      this.#keepAlive();
      if (!this.#refreshes) this.#refreshForever();
    } catch (caught) {
      if (this.#abort.signal.aborted) return;
      const error = DfError.from(caught);
      log[this.#contact.level]({ reason: error.message }, 'cannot register at the manager');
      this.#retry(`cannot register: ${error.message}`);
    }
  }

  #keepAlive(): void {
    const { gateway, keepAliveIntervalMs, log } = this.options;
    const stream = gateway.openKeepAlive((error) => {
      if (this.#abort.signal.aborted || this.#stream !== stream) return;
      this.#stream = undefined;
      log.warn({ reason: error.message }, 'keep-alive stream to the manager has broken');
      this.#retry(`manager not reachable, serving with the last settings: ${error.message}`);
    });
    this.#stream = stream;
    const beat = (): void => {
      if (this.#stream !== stream) return;
      stream.beat(() => {
        this.#alive();
      });
      this.#after('beat', keepAliveIntervalMs, beat);
    };
    beat();
  }

  #alive(): void {
    if (this.#failures > 0 || !this.#hasRegistered) {
      this.options.log.info('registered at the manager');
      this.#hasRegistered = true;
      this.options.onState(true, undefined);
    }
    this.#failures = 0;
  }

  #retry(detail: string): void {
    this.options.onState(this.#hasRegistered, detail);
    const pauseMs = Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#after('connect', pauseMs * (0.5 + this.options.random() / 2), () => {
      void this.#connect();
    });
  }

  #refreshForever(): void {
    this.#refreshes = true;
    // One at a time: of two answers the older could come last. What is under way may have been asked before the change.
    if (this.#refreshUnderWay !== 'none') {
      this.#refreshUnderWay = 'one-and-another';
      return;
    }
    this.#refreshUnderWay = 'one';
    void this.#refresh()
      .catch((caught: unknown) => {
        if (this.#abort.signal.aborted) return;
        const error = DfError.from(caught);
        this.options.log.warn({ reason: error.message }, 'cannot refresh the settings from the manager');
        // "No such scheduler": it has forgotten us (cleaned its table, or got a new database).
        if (error.code === 'not-found' || error.code === 'internal') return this.#registerAgain();
        return undefined;
      })
      .finally(() => {
        const isWantedAgain = this.#refreshUnderWay === 'one-and-another';
        this.#refreshUnderWay = 'none';
        if (this.#abort.signal.aborted) return;
        if (isWantedAgain) this.#refreshForever();
        else this.#after('refresh', this.options.refreshIntervalMs, () => this.#refreshForever());
      });
  }

  /** Makes the manager's row and its state right again, with a new keep-alive stream. */
  async #registerAgain(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return; // It has broken: a new registration is on its way.
    this.#stream = undefined;
    try {
      // First the end of the old stream, then the new one: the end is what makes the manager mark us inactive.
      await stream.end();
      await this.options.gateway.register(this.#abort.signal);
      if (!this.#abort.signal.aborted) this.#keepAlive();
    } catch (caught) {
      if (this.#abort.signal.aborted) return;
      const error = DfError.from(caught);
      this.options.log.warn({ reason: error.message }, 'cannot register again');
      this.#retry(`cannot register: ${error.message}`);
    }
  }

  async #refresh(): Promise<void> {
    const { config, isActive } = await this.options.gateway.fetch(this.#abort.signal);
    const hasChanged = JSON.stringify(config) !== JSON.stringify(this.options.settings.current);
    this.options.settings.apply(config);
    if (hasChanged) await this.#saveCache(config);
    this.#inactiveCount = isActive ? 0 : this.#inactiveCount + 1;
    if (this.#inactiveCount < MAX_INACTIVE_COUNT) return;
    // The end of an older connection of ours was noticed after the new one had begun.
    this.#inactiveCount = 0;
    this.options.log.warn('the manager holds this scheduler for inactive although it is kept alive');
    await this.#registerAgain();
  }

  async #loadCache(): Promise<void> {
    try {
      const config = await readDynamicConfig(this.options.cacheFile);
      if (config !== undefined) this.options.settings.apply(config);
    } catch (caught) {
      this.options.log.warn(
        { reason: DfError.from(caught).message },
        'kept settings cannot be used, starting with the defaults',
      );
    }
  }

  async #saveCache(config: DynamicConfig): Promise<void> {
    try {
      await writeDynamicConfig(this.options.cacheFile, config);
    } catch (caught) {
      this.options.log.warn(
        { reason: DfError.from(caught).message, file: this.options.cacheFile },
        'cannot keep the settings',
      );
    }
  }

  #after(purpose: 'connect' | 'beat' | 'refresh', delayMs: number, callback: () => void): void {
    this.#timers.get(purpose)?.cancel();
    this.#timers.set(purpose, this.options.clock.after(delayMs, callback));
  }

  #cancelTimers(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
