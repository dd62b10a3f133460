import { KeyValueStore, Lock, RecordStore, type Kv } from '@dragonfly/kv';
import { Database } from '@dragonfly/persistence';
import { Readiness } from '@dragonfly/telemetry';
import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { atMostEvery } from './at-most-every.js';
import { AccessCache, AccessDirectory } from './auth/access-directory.js';
import { SessionTokens } from './auth/session-tokens.js';
import type { ObjectStorage } from './buckets/object-storage.js';
import { Clock } from './clock.js';
import { Logger } from './logger.js';
import { News } from './notify/news.js';
import { RestOptions } from './rest/rest-options.js';
import { ManagerMetrics } from './status/manager-metrics.js';
import { GenerationCache } from './topology/generation-cache.js';
import { loadTopology, type Topology } from './topology/topology.js';
import { TopologyCache } from './topology/topology-cache.js';
import { Turns } from './turns.js';

/** Pause between two warnings: while the key-value store is away every question of every daemon goes past the cache. */
const BYPASS_WARNING_INTERVAL_MS = 30_000;

/** What exists before the application: connections, settings and the process' own things. */
export interface ManagerParts {
  readonly database: Database;
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readiness: Readiness;
  readonly metrics: ManagerMetrics;
  readonly tokens: SessionTokens;
  readonly news: News;
  readonly objectStorage: ObjectStorage;
  readonly rest: RestOptions;
  /** Oldest cached answer, for changes of the database that no manager made, in ms. */
  readonly cacheMaxAgeMs: number;
}

/** Hands the parts, and the caches over them, to the modules that import it. */
@Module({})
export class PlatformModule {
  static forParts(parts: ManagerParts): DynamicModule {
    const providers = [...connections(parts), ...caches(parts)];
    return { module: PlatformModule, providers, exports: providers };
  }
}

function connections(parts: ManagerParts): Provider[] {
  return [
    { provide: Database, useValue: parts.database },
    { provide: KeyValueStore, useValue: parts.kv.store },
    { provide: RecordStore, useValue: parts.kv.records },
    { provide: Lock, useValue: parts.kv.lock },
    Turns,
    { provide: Clock, useValue: parts.clock },
    { provide: Logger, useValue: parts.log satisfies Logger },
    { provide: Readiness, useValue: parts.readiness },
    { provide: ManagerMetrics, useValue: parts.metrics },
    { provide: SessionTokens, useValue: parts.tokens },
    { provide: News, useValue: parts.news },
    { provide: RestOptions, useValue: parts.rest },
  ];
}

function caches({ database, kv, log, news, cacheMaxAgeMs: maxAgeMs }: ManagerParts): Provider[] {
  const shared = {
    store: kv.store,
    maxAgeMs,
    onError: atMostEvery(BYPASS_WARNING_INTERVAL_MS, (error: unknown): void => {
      log.warn({ err: error }, 'the cache is bypassed');
    }),
  };
  const topology = new GenerationCache<Topology>({
    ...shared,
    key: 'manager:generation:topology',
    load: () => loadTopology(database),
    onInvalidated: () => news.publish('config'),
  });
  const access = new GenerationCache<AccessDirectory>({
    ...shared,
    key: 'manager:generation:access',
    load: () => AccessDirectory.load(database),
  });
  return [
    { provide: TopologyCache, useValue: topology },
    { provide: AccessCache, useValue: access },
  ];
}
