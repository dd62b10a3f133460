import type { KeyValueStore } from '@dragonfly/kv';
import type { Database } from '@dragonfly/persistence';
import type { Readiness } from '@dragonfly/telemetry';

/** Names of the readiness conditions. */
export const CONDITIONS = { database: 'database', kv: 'kv', grpc: 'grpc-serving' } as const;

const CHECK_INTERVAL_MS = 5_000;

/** Looks at the database and the key-value store every few seconds and tells the readiness. */
export class DependencyMonitor {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private isStopped = false;

  constructor(
    private readonly database: Database,
    private readonly store: KeyValueStore,
    private readonly readiness: Readiness,
  ) {}

  /** Resolves after the first look. */
  async start(): Promise<void> {
    await this.look();
    this.schedule();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private schedule(): void {
    if (this.isStopped) {
      return;
    }
    this.timer = setTimeout(() => {
      this.running = this.look().then(() => this.schedule());
    }, CHECK_INTERVAL_MS).unref();
  }

  private async look(): Promise<void> {
    await Promise.all([
      this.tell(CONDITIONS.database, () => this.database.ping()),
      this.tell(CONDITIONS.kv, () => this.store.ping()),
    ]);
  }

  private async tell(condition: string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
      this.readiness.set(condition, true);
    } catch (error) {
      this.readiness.set(condition, false, Error.isError(error) ? error.message : String(error));
    }
  }
}
