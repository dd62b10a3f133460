import { homedir } from 'node:os';
import path from 'node:path';
import { byteSize, duration, host, loadConfig, type LoadedConfig, port } from '@dragonfly/config';
import { securitySection } from '@dragonfly/manager-client';
import { LOG_LEVELS } from '@dragonfly/telemetry';
import { z } from 'zod';
import { MAX_READERS } from '../source/source-choice.js';
import { splitSchema, STRATEGY_NAMES } from '../strategies/strategy-choice.js';
import { defaultHostname, defaultIp } from './host-identity.js';

/** Ports that the protocol lets a service announce. */
const announcedPort = z.coerce
  .number()
  .int()
  .min(1024, 'must be 1024..65534, the ports that the protocol lets a service announce')
  .max(65_534, 'must be 1024..65534, the ports that the protocol lets a service announce');

/** Published templates name all three with empty paths: that is no TLS. */
const tlsFiles = z
  .object({ caCert: z.string().default(''), cert: z.string().default(''), key: z.string().default('') })
  .optional()
  .transform((files) => (files && Object.values(files).some((file) => file !== '') ? files : undefined))
  .refine((files) => files === undefined || Object.values(files).every((file) => file !== ''), {
    error: 'must name the files caCert, cert and key, or none of them',
  })
  .describe('paths of PEM files; clients must show a certificate signed by caCert');

/** Keys of Dragonfly's scheduler.yaml that have no effect here are read and ignored, so that its files load unchanged. */
const ignored = z.unknown().optional();

const workers = (count: number): z.ZodDefault<z.ZodCoercedNumber> => z.coerce.number().int().min(1).default(count);

const redisTls = z
  .object({
    caCert: z.string().default(''),
    cert: z.string().default(''),
    key: z.string().default(''),
    insecureSkipVerify: z.boolean().default(false),
  })
  .nullish()
  .refine((tls) => tls == null || (tls.cert === '') === (tls.key === ''), {
    error: 'must name both cert and key, or neither',
  })
  .describe('TLS towards Redis and its sentinels; paths of PEM files, an empty section trusts the system');

/** The original's defaults, which published templates spell out. */
const ORIGINAL_POOL = { size: 20, timeoutMs: 10_000 } as const;

const redis = z
  .object({
    addrs: z.array(z.string()).default([]),
    masterName: z.string().default(''),
    username: z.string().default(''),
    password: z.string().default(''),
    sentinelUsername: z.string().default(''),
    sentinelPassword: z.string().default(''),
    brokerDB: z.coerce.number().int().min(0).default(1),
    backendDB: z.coerce.number().int().min(0).default(2),
    // Read so that files of the original load; see `withoutEffect`.
    poolSize: z.coerce.number().int().min(1).default(ORIGINAL_POOL.size),
    poolTimeout: duration().default(ORIGINAL_POOL.timeoutMs),
    tls: redisTls,
  })
  .prefault({});

const server = z
  .object({
    advertiseIP: z.string().default('').describe('address registered at the manager; empty = first of the machine'),
    advertisePort: z
      .union([z.literal(0), announcedPort])
      .default(0)
      .describe('0 = the port it listens on'),
    listenIP: host().default(''),
    port: port().default(8002),
    host: host().default('').describe('name registered at the manager; empty = host name of the machine'),
    tls: tlsFiles,
    requestRateLimit: z.coerce.number().int().min(1).default(4000).describe('calls and new streams a second'),
    logLevel: z.enum(LOG_LEVELS).default('info'),
    logDir: z.string().default('').describe('empty = no log file'),
    logMaxSize: ignored,
    logMaxAge: ignored,
    logMaxBackups: ignored,
    pluginDir: z.string().default(''),
    dataDir: z.string().default('').describe('where the last dynamic configuration is kept'),
    workHome: ignored,
    cacheDir: ignored,
    workHomeMode: ignored,
    cacheDirMode: ignored,
    logDirMode: ignored,
    dataDirMode: ignored,
  })
  .prefault({});

const scheduler = z
  .object({
    algorithm: z.enum(STRATEGY_NAMES).default('default').describe('decides for the tasks beyond the split'),
    plugin: z
      .object({ path: z.string().default('').describe('module whose default export is a strategy') })
      .prefault({}),
    split: splitSchema.default([]).describe('percentages of the tasks that other strategies decide for'),
    backToSourceCount: z.coerce.number().int().min(1).default(200),
    retryBackToSourceLimit: z.coerce.number().int().min(1).default(4),
    retryLimit: z.coerce.number().int().min(1).default(5),
    retryInterval: duration().default(500),
    waitTimeout: duration().default(25_000).describe("longest wait after the source lease holder's last sign of life"),
    sourceLease: z
      .object({
        stallTimeout: duration().default(60_000).describe('a lease without a finished piece for this long is over'),
        readers: z.coerce
          .number()
          .int()
          .min(1)
          .max(MAX_READERS)
          .default(1)
          .describe('hosts that may read one source at a time'),
        ttl: duration()
          .refine((ms) => ms >= 1000, 'must be at least 1s')
          .default(10_000)
          .describe('a lease whose scheduler is gone is over after this'),
        originBandwidthLimit: byteSize().default(0).describe('a second, of all readers of one origin; 0 = no limit'),
        originConcurrentRequests: z.coerce
          .number()
          .int()
          .min(0)
          .default(0)
          .describe('of all readers of one origin; 0 = no limit'),
      })
      .prefault({}),
    gc: z
      .object({
        pieceDownloadTimeout: duration().default(30 * 60_000),
        peerGCInterval: duration().default(10_000),
        peerTTL: duration().default(24 * 3_600_000),
        taskGCInterval: duration().default(30 * 60_000),
        hostGCInterval: duration().default(5 * 60_000),
        hostTTL: duration().default(3_600_000),
      })
      .prefault({}),
  })
  .prefault({});

const tracingSection = z
  .object({
    protocol: z.string().nullish(),
    endpoint: z.string().nullish(),
    path: z.string().nullish(),
    headers: z.record(z.string(), z.string()).nullish(),
    // The original's key really has a dash.
    'service-name': z.string().nullish(),
    serviceName: z.string().nullish(),
  })
  .nullish();

const schema = z.object({
  console: z.boolean().default(false),
  pprofPort: ignored,
  verbose: ignored,
  tracing: tracingSection,
  server,
  scheduler,
  database: z.object({ redis }).prefault({}),
  dynConfig: z.object({ refreshInterval: duration().default(60_000), type: ignored, cachePath: ignored }).prefault({}),
  host: z.object({ idc: z.string().max(1024).default(''), location: z.string().max(1024).default('') }).prefault({}),
  manager: z
    .object({
      addr: z
        .string()
        .default('')
        .describe('host:port of the manager; empty = stand-alone with a local dynconfig file'),
      tls: tlsFiles,
      schedulerClusterID: z.coerce.number().int().min(1).default(1),
      keepAlive: z.object({ interval: duration().default(5000) }).prefault({}),
    })
    .prefault({}),
  seedPeer: z
    .object({
      enable: ignored,
      tls: tlsFiles,
      taskDownloadTimeout: duration().default(10 * 3_600_000),
    })
    .prefault({}),
  peer: z.object({ tls: tlsFiles }).prefault({}),
  job: z
    .object({
      enable: z.boolean().default(true),
      globalWorkerNum: workers(500).describe('jobs at a time from the queue of all services'),
      schedulerWorkerNum: workers(500).describe('jobs at a time from the queue of all schedulers, and by gRPC'),
      localWorkerNum: workers(1000).describe("jobs at a time from this scheduler's own queue"),
      learningTime: duration()
        .default(60_000)
        .describe('a job that finds no hosts waits so long after the start for them to announce themselves'),
      registry: z
        .object({
          allow: z
            .array(z.enum(['private', 'loopback', 'link-local', 'metadata']))
            .default(['private'])
            .describe('addresses of image registries that may be asked, beside the public ones'),
          allowedRanges: z.array(z.string()).default([]).describe('further ranges, e.g. 127.0.0.1 or 10.1.0.0/16'),
        })
        .prefault({}),
      redis: ignored,
    })
    .prefault({}),
  records: z
    .object({
      enable: z.boolean().default(true).describe('keep a record of every download'),
      dir: z.string().default('').describe('empty = records in the data directory'),
      maxFileSize: byteSize().default(16 * 1024 ** 2),
      maxFiles: z.coerce.number().int().min(1).max(1000).default(8).describe('the oldest is deleted'),
      flushInterval: duration().default(1000).describe('records wait at most so long for being written'),
    })
    .prefault({}),
  storage: ignored,
  metrics: z
    .object({
      enable: z.boolean().default(false).describe('serve /metrics beside /readyz'),
      addr: z
        .string()
        .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$/, 'must be host:port or :port')
        .default(':8000'),
      enableHost: z.boolean().default(false),
    })
    .prefault({}),
  security: securitySection(),
  network: z.object({ enableIPv6: z.boolean().default(false) }).prefault({}),
});

/** The configuration with every default filled in that does not depend on the machine. Durations in milliseconds. */
export type SchedulerConfig = z.infer<typeof schema>;

/** Where a scheduler.yaml is looked for when none is named. */
export const DEFAULT_CONFIG_FILES: readonly string[] = ['/etc/dragonfly/scheduler.yaml'];

/**
 * Loads scheduler.yaml, overridden by `DRAGONFLY_…` variables.
 * @throws DfError `invalid-argument` naming each wrong key; `not-found` for a named file that does not exist
 */
export function loadSchedulerConfig(options: {
  readonly file?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly strict?: boolean;
}): LoadedConfig<SchedulerConfig> {
  const loaded = loadConfig({
    schema,
    file: options.file,
    defaultFiles: [...DEFAULT_CONFIG_FILES],
    env: options.env,
    ...(options.strict === undefined ? {} : { strict: options.strict }),
  });
  return { ...loaded, warnings: [...loaded.warnings, ...withoutEffect(loaded.config)] };
}

/** Keys that somebody has given a value of his own, and that change nothing here. */
function withoutEffect({ database: { redis: settings } }: SchedulerConfig): string[] {
  const keys = [
    ...(settings.poolSize === ORIGINAL_POOL.size ? [] : ['database.redis.poolSize']),
    ...(settings.poolTimeout === ORIGINAL_POOL.timeoutMs ? [] : ['database.redis.poolTimeout']),
  ];
  if (keys.length === 0) return [];
  return [`${keys.join(', ')}: there is no pool, one connection carries all commands at once (no effect)`];
}

/** Under which name and address this scheduler is known. */
export interface Identity {
  readonly hostname: string;
  readonly ip: string;
  /** Port that others are told. */
  readonly port: number;
}

/** @param listenPort the port that was really bound */
export function identityOf(config: SchedulerConfig, listenPort: number): Identity {
  return {
    hostname: config.server.host || defaultHostname(),
    ip: config.server.advertiseIP || defaultIp(config.network.enableIPv6),
    port: config.server.advertisePort || listenPort,
  };
}

/** Address to listen on. */
export function listenIpOf(config: SchedulerConfig): string {
  return config.server.listenIP || (config.network.enableIPv6 ? '::' : '0.0.0.0');
}

/** Directory for what should outlive a restart. */
export function dataDirOf(config: SchedulerConfig, isRoot: boolean): string {
  if (config.server.dataDir !== '') return path.resolve(config.server.dataDir);
  return isRoot ? '/var/lib/dragonfly/scheduler' : path.join(homedir(), '.local/share/dragonfly/scheduler');
}

/** Splits `host:port` of metrics.addr; an empty host is every address. */
export function statusAddressOf(config: SchedulerConfig): { readonly host: string; readonly port: number } {
  const colon = config.metrics.addr.lastIndexOf(':');
  const hostText = config.metrics.addr.slice(0, colon).replace(/^\[|\]$/g, '');
  return {
    host: hostText || (config.network.enableIPv6 ? '::' : '0.0.0.0'),
    port: Number(config.metrics.addr.slice(colon + 1)),
  };
}
