import { KeyValueStore, Lock, type Kv } from '@dragonfly/kv';
import { Database } from '@dragonfly/persistence';
import { Readiness } from '@dragonfly/telemetry';
import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountsService } from './auth/accounts.service.js';
import { AuthGuard } from './auth/auth.guard.js';
import { loadPolicies, type Policies, PolicyCache } from './auth/policies.js';
import { SessionTokens } from './auth/session-tokens.js';
import { SessionsController } from './auth/sessions.controller.js';
import { Clock } from './clock.js';
import { ClustersController } from './clusters/clusters.controller.js';
import { ClustersService } from './clusters/clusters.service.js';
import { SchedulerClustersController } from './clusters/scheduler-clusters.controller.js';
import { SchedulerClustersService } from './clusters/scheduler-clusters.service.js';
import { SeedPeerClustersController } from './clusters/seed-peer-clusters.controller.js';
import { SeedPeerClustersService } from './clusters/seed-peer-clusters.service.js';
import { ManagerGrpcController } from './grpc/manager.grpc-controller.js';
import { ApplicationsReader } from './instances/applications.js';
import { InstanceSweeper } from './instances/instance-sweeper.js';
import { KeepAliveService } from './instances/keep-alive.js';
import { SchedulerFeaturesController } from './instances/scheduler-features.controller.js';
import { SchedulerRegistry } from './instances/scheduler-registry.js';
import { SchedulersController } from './instances/schedulers.controller.js';
import { SchedulersService } from './instances/schedulers.service.js';
import { SeedPeerRegistry } from './instances/seed-peer-registry.js';
import { SeedPeersController } from './instances/seed-peers.controller.js';
import { SeedPeersService } from './instances/seed-peers.service.js';
import { Logger } from './logger.js';
import { ManagerMetrics } from './status/manager-metrics.js';
import { StatusController } from './status/status.controller.js';
import { GenerationCache } from './topology/generation-cache.js';
import { loadTopology, type Topology } from './topology/topology.js';
import { TopologyCache } from './topology/topology-cache.js';

/** What exists before the application: connections, settings and the process' own things. */
export interface ManagerParts {
  readonly database: Database;
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readiness: Readiness;
  readonly metrics: ManagerMetrics;
  readonly tokens: SessionTokens;
  /** Oldest cached answer, for changes of the database that no manager made, in ms. */
  readonly cacheMaxAgeMs: number;
}

/** The manager's application: REST controllers, the gRPC controller and the services behind them. */
@Module({})
export class ManagerModule {
  static forParts(parts: ManagerParts): DynamicModule {
    return {
      module: ManagerModule,
      controllers: [
        StatusController,
        SessionsController,
        ClustersController,
        SchedulerClustersController,
        SeedPeerClustersController,
        SchedulersController,
        SchedulerFeaturesController,
        SeedPeersController,
        ManagerGrpcController,
      ],
      providers: [
        ...providersOf(parts),
        { provide: APP_GUARD, useClass: AuthGuard },
        AccountsService,
        ClustersService,
        SchedulerClustersService,
        SeedPeerClustersService,
        SchedulersService,
        SeedPeersService,
        SchedulerRegistry,
        SeedPeerRegistry,
        ApplicationsReader,
        KeepAliveService,
        InstanceSweeper,
      ],
    };
  }
}

function providersOf(parts: ManagerParts): Provider[] {
  const { database, kv, log, cacheMaxAgeMs: maxAgeMs } = parts;
  const onError = (error: unknown): void => log.warn({ err: error }, 'the cache is bypassed');
  return [
    { provide: Database, useValue: database },
    { provide: KeyValueStore, useValue: kv.store },
    { provide: Lock, useValue: kv.lock },
    { provide: Clock, useValue: parts.clock },
    { provide: Logger, useValue: log },
    { provide: Readiness, useValue: parts.readiness },
    { provide: ManagerMetrics, useValue: parts.metrics },
    { provide: SessionTokens, useValue: parts.tokens },
    {
      provide: TopologyCache,
      useValue: new GenerationCache<Topology>({
        store: kv.store,
        key: 'manager:generation:topology',
        load: () => loadTopology(database.manager),
        maxAgeMs,
        onError,
      }),
    },
    {
      provide: PolicyCache,
      useValue: new GenerationCache<Policies>({
        store: kv.store,
        key: 'manager:generation:policies',
        load: () => loadPolicies(database.manager),
        maxAgeMs,
        onError,
      }),
    },
  ];
}
