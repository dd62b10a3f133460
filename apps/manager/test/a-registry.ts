import { createMemoryKv, type Kv } from '@dragonfly/kv';
import type { Database } from '@dragonfly/persistence';
import { InstanceSweeper } from '../src/instances/instance-sweeper.js';
import { KeepAliveService } from '../src/instances/keep-alive.js';
import { type SchedulerRegistration, SchedulerRegistry } from '../src/instances/scheduler-registry.js';
import { type SeedPeerRegistration, SeedPeerRegistry } from '../src/instances/seed-peer-registry.js';
import { GenerationCache } from '../src/topology/generation-cache.js';
import { loadTopology, type Topology } from '../src/topology/topology.js';
import { Turns } from '../src/turns.js';

/** A clock that tests set. */
export class TestClock {
  constructor(public current = new Date('2026-01-01T00:00:00Z')) {}

  now(): Date {
    return this.current;
  }

  advance(ms: number): void {
    this.current = new Date(this.current.getTime() + ms);
  }
}

/** The services around instances of one manager. Several of them over one database and store are several managers. */
export interface Registry {
  kv: Kv;
  clock: TestClock;
  schedulers: SchedulerRegistry;
  seedPeers: SeedPeerRegistry;
  keepAlives: KeepAliveService;
  sweeper: InstanceSweeper;
}

export function aRegistry(database: Database, shared?: { kv: Kv; clock: TestClock }): Registry {
  const clock = shared?.clock ?? new TestClock();
  const kv = shared?.kv ?? createMemoryKv({ now: () => clock.now().getTime() });
  const topology = new GenerationCache<Topology>({
    store: kv.store,
    key: 'topology',
    load: () => loadTopology(database),
    maxAgeMs: 60_000,
    onError: (error) => {
      throw error;
    },
    now: () => clock.now().getTime(),
  });
  return {
    kv,
    clock,
    schedulers: new SchedulerRegistry(database, topology, clock),
    seedPeers: new SeedPeerRegistry(database, topology, clock),
    keepAlives: new KeepAliveService(database, topology, kv.store, clock),
    sweeper: new InstanceSweeper(database, topology, kv.store, new Turns(kv.lock, database), clock),
  };
}

export function aScheduler(over: Partial<SchedulerRegistration> = {}): SchedulerRegistration {
  return {
    hostname: 'scheduler-1',
    ip: '10.0.0.1',
    port: 8002,
    idc: '',
    location: '',
    clusterId: 1,
    features: [],
    config: { manager_keep_alive_interval: 5_000_000_000 },
    ...over,
  };
}

export function aSeedPeer(over: Partial<SeedPeerRegistration> = {}): SeedPeerRegistration {
  return {
    hostname: 'seed-1',
    ip: '10.0.0.2',
    type: 'super',
    idc: '',
    location: '',
    port: 65_006,
    downloadPort: 65_008,
    clusterId: 1,
    ...over,
  };
}
