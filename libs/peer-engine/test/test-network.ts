import { CountingOrigin, tempDir, type TempDir } from '@dragonfly/testkit';
import { TestDaemon, type TestDaemonOptions } from './test-daemon.js';
import { TestScheduler } from './test-scheduler.js';

/** An origin, a scheduler and the daemons that a test starts, with a directory for their stores and files. */
export class TestNetwork {
  readonly dir: TempDir = tempDir('peer');
  private readonly closing: (() => unknown)[] = [];

  private constructor(
    readonly origin: CountingOrigin,
    private running: TestScheduler,
  ) {}

  static async start(): Promise<TestNetwork> {
    return new TestNetwork(await CountingOrigin.start(), await TestScheduler.start());
  }

  get scheduler(): TestScheduler {
    return this.running;
  }

  /** To be called before the first daemon. @param holdPolicy who may read a source */
  async replaceScheduler(holdPolicy: TestScheduler['holdPolicy']): Promise<TestScheduler> {
    await this.running.stop();
    this.running = await TestScheduler.start(0, holdPolicy);
    return this.running;
  }

  /** Knows the scheduler, unless the options say otherwise. */
  async daemon(name: string, options: Partial<TestDaemonOptions> = {}): Promise<TestDaemon> {
    const daemon = await TestDaemon.start({ dir: this.dir, name, schedulers: [this.scheduler.address], ...options });
    this.closeAfterwards(() => daemon.stop());
    return daemon;
  }

  /** What the test began besides; the last goes first, and all of it before the scheduler. */
  closeAfterwards(close: () => unknown): void {
    this.closing.push(close);
  }

  async stop(): Promise<void> {
    for (const close of this.closing.splice(0).reverse()) await close();
    await this.scheduler.stop();
    await this.origin.close();
    this.dir.remove();
  }
}
