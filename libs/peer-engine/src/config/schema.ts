import { byteSize, duration, host, port } from '@dragonfly/config';
import { securitySection } from '@dragonfly/manager-client';
import { z } from 'zod';
import { lightSocketBeside, type DefaultPlaces } from './places.js';
import { proxySchema } from './proxy-schema.js';
import {
  hasAllOrNoTlsFiles,
  interval,
  listener,
  percent,
  positiveInteger,
  serviceAddress,
  socketMode,
  socketPath,
  TLS_RULE,
  tlsFiles,
} from './sections.js';

const MIB = 1024 * 1024;

/**
 * `dfdaemon.yaml` of today's client (all its keys), and our own keys, each marked `own`. The schema is the one source of
 * names, defaults and rules; sections of parts that do not run yet are checked like the others.
 */
export function daemonSchema(places: DefaultPlaces) {
  return z.object({
    /** own: leave after so long without work; 0 stays. */
    aliveTime: duration().prefault('0'),
    host: hostSchema,
    server: z
      .object({
        pluginDir: z.string().default('/usr/local/lib/dragonfly/plugins/dfdaemon'),
        cacheDir: z.string().min(1).default(places.cacheDir),
        adaptiveRateLimit: adaptiveRateLimitSchema,
      })
      .prefault({}),
    download: downloadSchema(places),
    upload: uploadSchema,
    manager: managerSchema,
    scheduler: schedulerSchema,
    seedPeer: z.object({ enable: z.boolean().optional(), type: z.enum(['normal', 'super']).optional() }).prefault({}),
    dynconfig: z
      .object({
        refreshInterval: interval().prefault('60s'),
        /** own: local file with scheduler addresses, read when no manager is configured. */
        path: z.string().min(1).default(places.dynconfigFile),
      })
      .prefault({}),
    storage: storageSchema(places),
    backend: backendSchema,
    gc: gcSchema,
    proxy: proxySchema,
    security: securitySection(),
    network: z.object({ enableIPv6: z.boolean().default(false) }).prefault({}),
    health: z.object({ server: z.object(listener({ port: 4003 })).prefault({}) }).prefault({}),
    metrics: z.object({ server: z.object(listener({ port: 4002 })).prefault({}) }).prefault({}),
    stats: z.object({ server: z.object(listener({ port: 4004 })).prefault({}) }).prefault({}),
    tracing: z
      .object({
        protocol: z.enum(['http', 'https', 'grpc']).nullish(),
        endpoint: z.string().nullish(),
        path: z.string().default('/v1/traces'),
        headers: z.record(z.string(), z.string()).default({}),
        /** own: as the manager and the scheduler have it. */
        'service-name': z.string().nullish(),
        serviceName: z.string().nullish(),
      })
      .prefault({}),
  });
}

export type DaemonConfig = z.output<ReturnType<typeof daemonSchema>>;

const hostSchema = z
  .object({
    idc: z.string().nullish(),
    location: z.string().nullish(),
    hostname: z
      .string()
      .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'must be a host name')
      .max(253, 'must have at most 253 characters')
      .nullish(),
    ip: z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' }).nullish(),
    schedulerClusterID: positiveInteger().nullish(),
  })
  .prefault({});

/** Accepted as today's client does; a request rate limit per server is what protects ours. `null` switches it off. */
const adaptiveRateLimitSchema = z
  .object({
    bucketCount: positiveInteger().default(50),
    bucketInterval: interval().prefault('200ms'),
    cpuThreshold: positiveInteger(0).default(100),
    memoryThreshold: positiveInteger(0).default(90),
    shedCooldown: duration().prefault('5s'),
    collectInterval: interval().prefault('3s'),
  })
  .nullable()
  .prefault({});

function downloadSchema(places: DefaultPlaces) {
  return z
    .object({
      server: z
        .object({
          socketPath: socketPath().default(places.socketPath),
          /** own: of both sockets. Who may write to them may make the daemon write files; by default every account of the host. */
          socketMode: socketMode().prefault('0666'),
          requestRateLimit: positiveInteger().default(400),
          requestBufferSize: positiveInteger().default(50),
        })
        .prefault({}),
      /** own: light protocol of dfget; beside `socketPath` when absent. */
      lightSocketPath: socketPath().optional(),
      protocol: z.enum(['tcp', 'quic']).default('tcp'),
      bandwidthLimit: byteSize().prefault('50GB'),
      backToSourceBandwidthLimit: byteSize().prefault('50GB'),
      pieceTimeout: interval().prefault('360s'),
      collectedPieceTimeout: interval().prefault('360s'),
      concurrentPieceCount: positiveInteger().default(8),
      backToSourceConcurrentPieceCount: positiveInteger().default(8),
      /** own: whether files of at most 4 MiB go through the scheduler; `auto` asks when the cluster has a seed peer. */
      smallTaskP2P: z.enum(['auto', 'always', 'never']).default('auto'),
      /** own: whether a source may be read while schedulers are configured and none can be reached. */
      sourceWithoutScheduler: z.enum(['allow', 'forbid']).default('allow'),
      /** own: a source that sends nothing for so long is given up (one retry, then the lease is handed back). */
      sourceStallTimeout: interval().prefault('30s'),
    })
    .prefault({})
    .transform((download) => ({
      ...download,
      lightSocketPath: download.lightSocketPath ?? lightSocketBeside(download.server.socketPath),
    }));
}

const uploadSchema = z
  .object({
    server: z
      .object({
        ...listener({ port: 4000 }),
        ...tlsFiles,
        requestRateLimit: positiveInteger().default(400),
        requestBufferSize: positiveInteger().default(50),
      })
      .refine(hasAllOrNoTlsFiles, TLS_RULE)
      .prefault({}),
    client: z.object(tlsFiles).refine(hasAllOrNoTlsFiles, TLS_RULE).prefault({}),
    disableShared: z.boolean().default(false),
    bandwidthLimit: byteSize().prefault('50GB'),
  })
  .prefault({});

const managerSchema = z
  .object({
    addr: serviceAddress().nullish(),
    ...tlsFiles,
    /** own: cluster in which a seed peer registers itself. */
    seedPeerClusterID: positiveInteger().default(1),
    /** own: time between two keep-alive messages of a seed peer. */
    keepAliveInterval: interval().prefault('5s'),
  })
  .refine(hasAllOrNoTlsFiles, TLS_RULE)
  .prefault({});

const schedulerSchema = z
  .object({
    announceInterval: interval().prefault('5m'),
    scheduleTimeout: interval().prefault('3h'),
    maxScheduleCount: positiveInteger().default(5),
    /** own: a download whose schedulers are all gone waits so long for one to come back before it reads the source. */
    lossPatience: duration().prefault('10s'),
    ...tlsFiles,
    /** own: schedulers used when there is no manager and no local dynconfig file. */
    addrs: z.array(serviceAddress()).default([]),
  })
  .refine(hasAllOrNoTlsFiles, TLS_RULE)
  .prefault({});

function storageSchema(places: DefaultPlaces) {
  return z
    .object({
      server: z
        .object({
          ip: host().nullish().default(null),
          tcpPort: port().default(4005),
          quicPort: port().default(4006),
          tcpFastopen: z.boolean().default(false),
        })
        .prefault({}),
      writebackMode: z.enum(['async', 'sync', 'off']).default('async'),
      dir: z.string().min(1).default(places.storageDir),
      /** Ours keeps by default (today's client wipes): a restart must not lose completed pieces. */
      keep: z.boolean().default(true),
      writePieceTimeout: interval().prefault('360s'),
      writeBufferSize: byteSize().prefault(2 * MIB),
      readBufferSize: byteSize().prefault(2 * MIB),
      cacheCapacity: byteSize().prefault('64MiB'),
    })
    .prefault({});
}

const backendSchema = z
  .object({
    requestHeader: z.record(z.string(), z.string()).nullish(),
    maxRetries: z.coerce.number().int().min(0).max(10, 'must be 0..10').default(1),
    enableCacheTemporaryRedirect: z.boolean().default(true),
    cacheTemporaryRedirectTTL: duration().prefault('10m'),
    putConcurrentChunkCount: positiveInteger().default(16),
    putChunkSize: byteSize().prefault('8MiB'),
    putTimeout: interval().prefault('15m'),
    enableHickoryDNS: z.boolean().default(true),
  })
  .prefault({});

const gcSchema = z
  .object({
    interval: interval().prefault('15m'),
    policy: z
      .object({
        taskTTL: duration().prefault('30d'),
        persistentTaskTTL: duration().prefault('1d'),
        persistentCacheTaskTTL: duration().prefault('1d'),
        pageCacheIdleTimeout: duration().prefault('40m'),
        diskThreshold: byteSize().optional(),
        diskHighThresholdPercent: percent().optional(),
        diskLowThresholdPercent: percent().optional(),
        // The first spelling of these keys; still in published templates.
        distThreshold: byteSize().optional(),
        distHighThresholdPercent: percent().optional(),
        distLowThresholdPercent: percent().optional(),
      })
      .prefault({})
      .transform(({ distThreshold, distHighThresholdPercent, distLowThresholdPercent, ...policy }) => ({
        ...policy,
        diskThreshold: policy.diskThreshold ?? distThreshold ?? 0,
        diskHighThresholdPercent: policy.diskHighThresholdPercent ?? distHighThresholdPercent ?? 80,
        diskLowThresholdPercent: policy.diskLowThresholdPercent ?? distLowThresholdPercent ?? 60,
      }))
      .refine((policy) => policy.diskLowThresholdPercent <= policy.diskHighThresholdPercent, {
        message: 'must not be above diskHighThresholdPercent',
        path: ['diskLowThresholdPercent'],
      }),
  })
  .prefault({});
