import { DfError } from '@dragonfly/errors';
import { asHostId } from '@dragonfly/ids';
import { type commonV2, durationToMs, type schedulerV2 } from '@dragonfly/proto';
import type { Host } from '@dragonfly/scheduling';
import type { DurableEngines } from '../persistent/durable-engine.js';
import { deleteHost, type SchedulerState } from '../scheduler-state.js';
import type { SeedDirectory } from '../seeds/seed-directory.js';
import { checkIdLengths } from '../wire/id-length.js';
import { hostFactsOf } from '../wire/wire-records.js';

/** The hosts that this scheduler knows: announced, listed, deleted. */
export class HostService {
  constructor(
    private readonly state: SchedulerState,
    private readonly seeds: SeedDirectory,
    private readonly durable: DurableEngines,
  ) {}

  /** Takes an announcement. A seed is probed after the answer: a real one opens its server only then. */
  announce(request: schedulerV2.AnnounceHostRequest): void {
    const { metrics, resources, clock, hosts, log } = this.state;
    const announced = request.host;
    metrics.announceHost.announced(announced);
    if (announced === undefined) {
      metrics.announceHost.failed(announced);
      throw new DfError('invalid-argument', 'AnnounceHostRequest.host: is required');
    }
    checkIdLengths({ 'host.id': announced.id });
    const id = asHostId(announced.id);
    const known = resources.hosts.get(id);
    const intervalMs =
      request.interval === undefined ? (known?.announceIntervalMs ?? 0) : durationToMs(request.interval);
    const host = resources.announceHost(id, hostFactsOf(announced), Math.max(0, intervalMs), clock.nowMs());
    hosts.set(host, announced);
    this.seeds.announced(host);
    this.durable.hostAnnounced(hosts.full(host), host.announceIntervalMs);
    if (known === undefined) {
      log.info(
        { hostId: id, ip: announced.ip, port: announced.port, isSeed: host.facts.isSeed },
        'host has announced itself',
      );
    }
  }

  /**
   * Takes over a host that has announced itself to another scheduler of the cluster, or to this one before a restart. Hosts
   * of the original announce themselves once in five minutes; without this a scheduler that was just started would refuse
   * them until then, and they would go to the source.
   * Never rejects: a host that cannot be found stays unknown.
   */
  async recall(hostId: string): Promise<void> {
    const { resources, clock, hosts, log } = this.state;
    try {
      const recalled = await this.durable.recallHost(hostId);
      const id = asHostId(hostId);
      // It may have announced itself meanwhile.
      if (recalled === undefined || resources.hosts.has(id)) return;
      const host = resources.announceHost(id, hostFactsOf(recalled.host), recalled.intervalMs, clock.nowMs());
      hosts.set(host, recalled.host);
      this.seeds.announced(host);
      log.info({ hostId, ip: recalled.host.ip, isSeed: host.facts.isSeed }, 'host is known from another scheduler');
    } catch (error) {
      log.debug({ hostId, err: error }, 'an unknown host could not be looked for');
    }
  }

  /** All hosts, or those of one wire type. */
  list(request: schedulerV2.ListHostsRequest): commonV2.Host[] {
    const { metrics, resources, hosts } = this.state;
    metrics.listHosts.total.inc();
    const all = Array.from(resources.hosts.values(), (host) => hosts.full(host));
    return request.type === undefined ? all : all.filter((host) => host.type === request.type);
  }

  /** @throws DfError `not-found` */
  delete(request: schedulerV2.DeleteHostRequest): void {
    const { metrics, resources } = this.state;
    metrics.leaveHost.total.inc();
    const host = resources.hosts.get(asHostId(request.hostId));
    if (host === undefined) {
      metrics.leaveHost.failure.inc();
      throw new DfError('not-found', `host ${request.hostId} not found`);
    }
    this.#remove(host, 'host has left');
    this.durable.hostLeft(host.id);
  }

  /** Forgets a host of which nothing has been heard for too long. */
  missed(host: Host): void {
    this.#remove(host, 'host has missed its announcements');
    this.durable.hostMissed(host.id);
  }

  #remove(host: Host, reason: string): void {
    deleteHost(this.state, host);
    this.seeds.removed(host.id);
    this.state.metrics.hostTraffic?.removed(host);
    this.state.log.info({ hostId: host.id }, reason);
  }
}
