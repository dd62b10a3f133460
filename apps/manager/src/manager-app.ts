import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { createMemoryKv, createRedisKv, type Kv } from '@dragonfly/kv';
import { Database, ensureDefaultRows } from '@dragonfly/persistence';
import { Readiness, StatusServer, type Logger } from '@dragonfly/telemetry';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { atMostEvery } from './at-most-every.js';
import { AccessTokenVerifier } from './auth/access-token-verifier.js';
import { hashPassword } from './auth/password.js';
import { INITIAL_ROOT_PASSWORD } from './auth/accounts.service.js';
import { SessionTokens } from './auth/session-tokens.js';
import { ObjectStorage } from './buckets/object-storage.js';
import type { Security, SecurityOptions } from './certificates/security.js';
import { SystemClock } from './clock.js';
import { jobSettings } from './config/job-config.js';
import { parseListenAddress, type ListenAddress } from './config/manager-config.js';
import type { ManagerSettings } from './config/settings.js';
import { signingKey } from './config/signing-key.js';
import { grpcHost, grpcTransport } from './grpc/grpc-transport.js';
import { SchedulerLists } from './grpc/scheduler-lists.js';
import { InstanceSweeper } from './instances/instance-sweeper.js';
import { KeepAliveService } from './instances/keep-alive.js';
import { openJobParts } from './jobs/job-parts.js';
import { JobWorkers } from './jobs/job-workers.js';
import { ManagerModule } from './manager.module.js';
import { NestLogger } from './nest-logger.js';
import { News } from './notify/news.js';
import { RestOptions } from './rest/rest-options.js';
import { configureRest, createRestAdapter } from './rest/rest-server.js';
import { CONDITIONS, DependencyMonitor } from './status/dependency-monitor.js';
import { ManagerMetrics } from './status/manager-metrics.js';
import { GIT_VERSION, VERSION } from './version.js';

/** Pause between two sweeps, and before the first one: after a restart instances need a moment to come back. */
const SWEEP_INTERVAL_MS = 30_000;
/** Longest wait for the key-value store at the start; each try waits for its own deadline of seconds. */
const STORE_WAIT_MS = 60_000;
/** Pause between two warnings about a store that is away; readiness tells it meanwhile. */
const STORE_WARNING_INTERVAL_MS = 30_000;
/** Pause between two tries. */
const STORE_RETRY_MS = 500;

export interface StartOptions {
  settings: ManagerSettings;
  log: Logger;
  /** Password of the root account when it is made now. @default "dragonfly" */
  initialRootPassword?: string;
  /** A personal access token that is to exist. */
  personalAccessToken?: string;
}

/** A running manager. */
export interface ManagerApp {
  readonly restPort: number;
  readonly grpcPort: number;
  /** Where those that have no certificate get one; undefined without `security.enable`. */
  readonly joinPort: number | undefined;
  /** Undefined when metrics are off. */
  readonly metricsPort: number | undefined;
  readonly readiness: Readiness;
  /** A service of the application, for tests. */
  get<T>(token: { prototype: T }): T;
  /** Stops serving, waits a bounded time for running calls, closes the connections. */
  stop(): Promise<void>;
}

/**
 * Connects to the database and the key-value store, brings the schema up to date, and serves.
 * @throws DfError naming what could not be had; whatever was opened before is closed again
 */
export async function startManager(options: StartOptions): Promise<ManagerApp> {
  // Closed in the reverse order of opening.
  const opened: (() => Promise<void>)[] = [];
  try {
    return await start(options, opened);
  } catch (error) {
    await closeAll(opened, options.log);
    throw error;
  }
}

async function start(options: StartOptions, opened: (() => Promise<void>)[]): Promise<ManagerApp> {
  const { settings, log } = options;
  const { config } = settings;
  const readiness = new Readiness('manager', Object.values(CONDITIONS));
  const clock = new SystemClock();
  const metrics = new ManagerMetrics(GIT_VERSION);

  const kv = openKv(settings, log);
  opened.push(() => kv.close());
  const database = await Database.open(settings.database, {
    onRetry: (error, pauseMs) => log.warn({ err: error, pauseMs }, 'the database does not answer yet'),
  });
  opened.push(() => database.close());
  if (settings.migrates) {
    await database.migrate();
  }
  await ensureDefaultRows(database, {
    rootPasswordHash: () => hashPassword(options.initialRootPassword ?? INITIAL_ROOT_PASSWORD),
    personalAccessToken: options.personalAccessToken,
  });
  await waitForStore(kv, log);
  const news = new News(
    kv.pubSub,
    atMostEvery(STORE_WARNING_INTERVAL_MS, (error: unknown): void => {
      log.warn({ reason: DfError.from(error).message }, 'other managers do not hear of changes');
    }),
  );
  await news.start();
  const objectStorage = new ObjectStorage(config.objectStorage);
  opened.push(() => objectStorage.close());
  opened.push(() => news.stop());
  const { jwt } = config.auth;
  const key = await signingKey(jwt.key, settings.dataDirectory, kv.kind === 'redis' ? kv.store : undefined);

  const security = config.security.enable ? await secured({ settings, database, clock, news, log }) : undefined;
  if (security) opened.push(() => security.stop());

  const jobs = await openJobParts({
    settings: jobSettings(config.job),
    database,
    redis: settings.redis,
    redisDb: config.database.redis.brokerDB,
    key,
    tls: security?.tls,
    onError: atMostEvery(STORE_WARNING_INTERVAL_MS, (error: unknown): void => {
      log.warn({ reason: DfError.from(error).message }, 'trouble with the job queue');
    }),
  });
  opened.push(() => jobs.close());
  const rest = restOptions(settings);
  const parts = {
    database,
    kv,
    clock,
    log,
    readiness,
    metrics,
    news,
    objectStorage,
    tokens: new SessionTokens(key, jwt.timeout, jwt.maxRefresh),
    rest,
    cacheMaxAgeMs: config.cache.local.ttl,
  };
  const module = ManagerModule.forParts(parts, jobs, security);
  const app = await NestFactory.create<NestFastifyApplication>(module, createRestAdapter(restTls(settings), rest), {
    logger: new NestLogger(log),
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: true,
  });
  await configureRest(app, { log, realm: jwt.realm, metrics, version: VERSION, rest });
  const hashed = await app.get(AccessTokenVerifier).hashClearTokens();
  if (hashed > 0) {
    log.info({ tokens: hashed }, 'personal access tokens that stood in clear have been hashed');
  }
  const grpc = await grpcTransport(settings, log, security, metrics.calls, [app.get(SchedulerLists).method]);
  app.connectMicroservice(grpc);
  const keepAlives = app.get(KeepAliveService);
  opened.push(async () => {
    readiness.set(CONDITIONS.grpc, false, 'stopping');
    keepAlives.stop();
    await app.close();
  });
  // Closed before the services that its handlers use.
  opened.push(() => jobs.queues.close());
  await app.startAllMicroservices();
  readiness.set(CONDITIONS.grpc, true);
  const joinPort = await security?.serveJoining(grpcHost(settings));

  const monitor = new DependencyMonitor(database, kv.store, readiness);
  await monitor.start();
  opened.push(() => monitor.stop());
  opened.push(startSweeping(app.get(InstanceSweeper), log));
  await app.get(JobWorkers).start();

  const address = listenAddressOf(config.server.rest.addr);
  await app.listen(address.port, address.host || (config.network.enableIPv6 ? '::' : '0.0.0.0'));
  const restPort = (app.getHttpServer().address() as AddressInfo).port;
  const status = await startMetrics(settings, metrics, readiness, log);
  if (status) {
    opened.push(() => status.close());
  }
  const grpcPort = grpc.strategy.ports[0] ?? 0;
  log.info(
    { restPort, grpcPort, joinPort, metricsPort: status?.port, database: database.dialect, kv: kv.kind },
    'manager is up',
  );
  return {
    restPort,
    grpcPort,
    joinPort,
    metricsPort: status?.port,
    readiness,
    get: (token) => app.get(token as never),
    stop: () => closeAll(opened),
  };
}

/** Loaded only where it is on: nobody else pays for it. */
async function secured(options: SecurityOptions): Promise<Security> {
  const { startSecurity } = await import('./certificates/security.js');
  return startSecurity(options);
}

function openKv(settings: ManagerSettings, log: Logger): Kv {
  const onError = atMostEvery(STORE_WARNING_INTERVAL_MS, (error: unknown): void => {
    log.warn({ reason: DfError.from(error).message }, 'trouble with the key-value store');
  });
  return settings.redis ? createRedisKv({ ...settings.redis, onError }) : createMemoryKv({ onError });
}

/** Waits until the store answers. @throws DfError the store's last failure when the time is over */
async function waitForStore(kv: Kv, log: Logger): Promise<void> {
  const giveUpAtMs = performance.now() + STORE_WAIT_MS;
  for (;;) {
    try {
      await kv.store.ping();
      return;
    } catch (error) {
      const failure = DfError.from(error);
      if (!failure.retryable || performance.now() > giveUpAtMs) {
        throw failure;
      }
      log.warn({ err: failure }, 'the key-value store does not answer yet');
      await delay(STORE_RETRY_MS);
    }
  }
}

function restOptions({ config }: ManagerSettings): RestOptions {
  const { cors, trustedProxies, consoleDir } = config.server.rest;
  return new RestOptions({
    cookie: config.auth.cookie,
    isSignUpOpen: config.auth.signUp.enable,
    corsOrigins: cors.origins,
    trustedProxies,
    consoleDirectory: consoleDir,
    github: config.auth.oauth.github,
    googleIssuer: config.auth.oauth.google.issuer,
  });
}

function restTls({ config }: ManagerSettings): { cert: Buffer; key: Buffer } | undefined {
  const { tls } = config.server.rest;
  return tls?.cert && tls.key ? { cert: readFileSync(tls.cert), key: readFileSync(tls.key) } : undefined;
}

async function startMetrics(
  { config }: ManagerSettings,
  metrics: ManagerMetrics,
  readiness: Readiness,
  log: Logger,
): Promise<StatusServer | undefined> {
  if (!config.metrics.enable) {
    return undefined;
  }
  const { host, port } = listenAddressOf(config.metrics.addr);
  return StatusServer.start({
    host: host || (config.network.enableIPv6 ? '::' : '0.0.0.0'),
    port,
    readiness,
    registry: metrics.registry,
    log,
  });
}

function listenAddressOf(text: string): ListenAddress {
  const address = parseListenAddress(text);
  if (!address) {
    throw new DfError('invalid-argument', `"${text}" is no listen address`);
  }
  return address;
}

function startSweeping(sweeper: InstanceSweeper, log: Logger): () => Promise<void> {
  const stopping = new AbortController();
  const sweepOnce = async (): Promise<void> => {
    try {
      const result = await sweeper.sweep();
      if (result !== 'busy' && result.silenced + result.forgotten > 0) {
        log.info(result, 'instances went silent');
      }
    } catch (error) {
      log.warn({ err: error }, 'sweep failed');
    }
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const rested = await delay(SWEEP_INTERVAL_MS, true, { ref: false, signal: stopping.signal }).catch(() => false);
      if (rested) {
        await sweepOnce();
      }
    }
  };
  const running = run();
  return async () => {
    stopping.abort();
    await running;
  };
}

async function closeAll(closers: readonly (() => Promise<void>)[], log?: Logger): Promise<void> {
  const failures: unknown[] = [];
  for (const close of [...closers].reverse()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) {
    const failure = new AggregateError(failures, 'not everything could be closed');
    if (!log) {
      throw failure;
    }
    log.warn({ err: failure }, 'while cleaning up');
  }
}
