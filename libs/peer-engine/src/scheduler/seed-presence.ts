import type { schedulerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { sleep } from '../backoff.js';
import type { SchedulerLink } from './scheduler-link.js';

const CALL_DEADLINE_MS = 5000;
/** `common.v2.Host.type` of seed peers. */
const SEED_HOST_TYPE = 1;
/** While there is none it is asked more often: clusters start in any order. */
const ASK_AGAIN_MS = 5000;

/** Knows whether the cluster has a seed peer; small files take part in P2P only then. */
export class SeedPresence {
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;
  private isThere = false;

  constructor(
    private readonly schedulers: () => readonly SchedulerLink[],
    private readonly intervalMs: number,
    private readonly log: Logger,
  ) {}

  get hasSeedPeer(): boolean {
    return this.isThere;
  }

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    do {
      await this.ask();
    } while (
      await sleep(this.isThere ? this.intervalMs : Math.min(ASK_AGAIN_MS, this.intervalMs), this.stopped.signal)
    );
  }

  private async ask(): Promise<void> {
    const [link] = this.schedulers();
    if (link === undefined) return;
    try {
      const { hosts } = await unary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
        link.client.listHosts.bind(link.client),
        { type: SEED_HOST_TYPE },
        { deadlineMs: CALL_DEADLINE_MS, signal: this.stopped.signal },
      );
      this.isThere = hosts.length > 0;
    } catch (error) {
      // The last answer stands; small files then go the way they went before.
      this.log.debug({ scheduler: link.address, err: error }, 'cannot ask for seed peers');
    }
  }
}
