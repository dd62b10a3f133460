import { hostPort } from '@dragonfly/rpc';
import { SiphashRing } from '@dragonfly/hashring';
import type { schedulerV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerAddress } from '../dynconfig/cluster-view.js';
import { sleep } from '../backoff.js';
import { isServing } from './health-check.js';
import { SchedulerLink } from './scheduler-link.js';

/** A scheduler that does not answer a health check by then counts as down. */
const HEALTH_DEADLINE_MS = 2000;
/** How often schedulers that are down are looked at again. */
const RECOVERY_INTERVAL_MS = 1000;

export interface SchedulerSetOptions {
  readonly connect: (address: string) => schedulerV2.SchedulerClient;
  readonly log: Logger;
  /** A scheduler can be used from now on: it is new, or was down before. */
  readonly onUsable: (link: SchedulerLink) => void;
  /** The number of usable schedulers may have changed. */
  readonly onChange: () => void;
  /** @default grpc.health.v1 over the link's own connection */
  readonly checkHealth?: (link: SchedulerLink, signal: AbortSignal) => Promise<boolean>;
}

/**
 * The schedulers of this daemon's cluster: those that pass a health check and belong to the cluster of the first of them.
 * Which one owns a task is decided by a consistent hash over their names, the same in every client.
 */
export class SchedulerSet {
  private readonly stopped = new AbortController();
  private links: readonly SchedulerLink[] = [];
  private readonly down = new Set<string>();
  /** New ones whose health is not known yet. */
  private unchecked = new Set<SchedulerLink>();
  private usable: readonly SchedulerLink[] = [];
  private ring = new SiphashRing([]);
  private recovery: Promise<void> | undefined;
  private hadUsable = false;
  private allLostAtMs: number | undefined;

  constructor(private readonly options: SchedulerSetOptions) {}

  /** Every scheduler that can be used now. */
  get all(): readonly SchedulerLink[] {
    return this.usable;
  }

  /** Whether any scheduler is known at all, up or down. */
  get isConfigured(): boolean {
    return this.links.length > 0;
  }

  /** When the last usable scheduler went (`performance.now`); undefined while one is usable, and when none ever was. */
  get lostAtMs(): number | undefined {
    return this.allLostAtMs;
  }

  /** Whether a scheduler at the address was found dead and has not answered since. */
  isDown({ host, port }: SchedulerAddress): boolean {
    return this.down.has(hostPort(host, port));
  }

  /** Takes over a new list (of the manager or a file) and checks the health of all. */
  async update(addresses: readonly SchedulerAddress[]): Promise<void> {
    const before = new Map(this.links.map((link) => [linkKey(link), link]));
    const links = addresses.map((scheduler): SchedulerLink => {
      const address = hostPort(scheduler.host, scheduler.port);
      const name = scheduler.hostname === '' ? address : scheduler.hostname;
      const known = before.get(linkKey({ name, address, clusterId: scheduler.clusterId }));
      return known ?? this.open(name, address, scheduler.clusterId);
    });
    const kept = new Set(links);
    for (const link of this.links) if (!kept.has(link)) link.close();
    this.links = links;
    this.unchecked = new Set(links.filter((link) => !before.has(linkKey(link)) || this.unchecked.has(link)));
    await Promise.all(links.map((link) => this.check(link)));
    if (this.stopped.signal.aborted) return;
    this.select();
  }

  /**
   * Schedulers for a task in the order in which they are to be tried: the owner, then the one who would own it without
   * the owner, and so on.
   */
  forTask(taskId: string): SchedulerLink[] {
    // Of two schedulers with one name the later one counts.
    const byName = new Map(this.usable.map((link) => [link.name, link]));
    return this.ring.order(taskId).flatMap((name) => byName.get(name) ?? []);
  }

  /** A call found the scheduler dead: it is left out until it answers a health check again. */
  reportDown(link: SchedulerLink, reason: string): void {
    if (!this.links.includes(link)) return;
    const isNews = !this.down.has(link.address);
    if (isNews) {
      this.options.log.warn({ scheduler: link.address, reason }, 'scheduler is down');
      this.down.add(link.address);
    }
    // One that a health check has just found dead stays usable until all the others are checked.
    if (isNews || this.usable.includes(link)) this.select();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.recovery;
    for (const link of this.links) link.close();
    this.links = [];
    this.usable = [];
  }

  private open(name: string, address: string, clusterId: number): SchedulerLink {
    return new SchedulerLink(name, address, clusterId, this.options.connect, (link) => {
      void this.lookAgain(link);
    });
  }

  /** The connection broke. A scheduler that is back at once may have been restarted: it is as good as a new one. */
  private async lookAgain(link: SchedulerLink): Promise<void> {
    if (this.stopped.signal.aborted || !this.usable.includes(link)) return;
    link.reconnect();
    await this.check(link);
    if (this.stopped.signal.aborted || !this.links.includes(link)) return;
    if (this.down.has(link.address)) this.options.log.warn({ scheduler: link.address }, 'scheduler is down');
    this.usable = this.usable.filter((candidate) => candidate !== link);
    this.select();
  }

  private async check(link: SchedulerLink): Promise<void> {
    const check = this.options.checkHealth ?? ((of, signal) => isServing(of.client, HEALTH_DEADLINE_MS, signal));
    if (await check(link, this.stopped.signal)) this.down.delete(link.address);
    else this.down.add(link.address);
    this.unchecked.delete(link);
  }

  private select(): void {
    const healthy = this.links.filter((link) => !this.down.has(link.address) && !this.unchecked.has(link));
    const clusterId = healthy[0]?.clusterId;
    const before = new Set(this.usable);
    this.usable = healthy.filter((link) => link.clusterId === clusterId);
    this.ring = new SiphashRing(this.usable.map((link) => link.name));
    if (this.usable.length > 0) this.allLostAtMs = undefined;
    else if (this.hadUsable) this.allLostAtMs = performance.now();
    this.hadUsable = this.usable.length > 0;
    for (const link of this.usable) if (!before.has(link)) this.options.onUsable(link);
    this.options.onChange();
    if (healthy.length < this.links.length) this.recovery ??= this.recover();
  }

  /** Looks at the dead ones until all live. */
  private async recover(): Promise<void> {
    while (await sleep(RECOVERY_INTERVAL_MS, this.stopped.signal)) {
      const dead = this.links.filter((link) => this.down.has(link.address));
      for (const link of dead) link.reconnect();
      await Promise.all(dead.map((link) => this.check(link)));
      if (this.stopped.signal.aborted) break;
      const isBack = dead.some((link) => !this.down.has(link.address));
      if (isBack || dead.length === 0) {
        this.recovery = undefined;
        this.select();
        return;
      }
    }
    this.recovery = undefined;
  }
}

function linkKey(link: Pick<SchedulerLink, 'name' | 'address' | 'clusterId'>): string {
  return `${link.clusterId} ${link.address} ${link.name}`;
}
