import { DfError } from '@dragonfly/errors';
import type { Readiness } from '@dragonfly/telemetry';

/** Names of the readiness conditions. */
export const CONDITIONS = { database: 'database', kv: 'kv', grpc: 'grpc-serving' } as const;

const CHECK_INTERVAL_MS = 5_000;
/** An answer that takes longer counts as none. */
const CHECK_TIMEOUT_MS = 5_000;

/** Something that can be asked whether it is there. */
export interface Dependency {
  ping(): Promise<void>;
}

/** Looks at the database and the key-value store every few seconds and tells the readiness. */
export class DependencyMonitor {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private isStopped = false;

  constructor(
    private readonly database: Dependency,
    private readonly store: Dependency,
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
    await Promise.all([this.tell(CONDITIONS.database, this.database), this.tell(CONDITIONS.kv, this.store)]);
  }

  private async tell(condition: string, dependency: Dependency): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new DfError('deadline-exceeded', `no answer within ${CHECK_TIMEOUT_MS} ms`)),
      CHECK_TIMEOUT_MS,
    );
    try {
      await Promise.race([dependency.ping(), late.promise]);
      this.readiness.set(condition, true);
    } catch (error) {
      this.readiness.set(condition, false, DfError.from(error).message);
    } finally {
      clearTimeout(timer);
    }
  }
}
