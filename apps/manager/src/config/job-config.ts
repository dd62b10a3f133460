import { duration } from '@dragonfly/config';
import { z } from 'zod';
import type { JobSettings } from '../jobs/job-settings.js';

function section<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess((value) => value ?? {}, z.object(shape)).prefault({} as never);
}

/** Shortest intervals: a sync asks a scheduler for all its hosts, a pull of figures for all its records. */
const MIN_SYNC_PEERS_MS = 60_000;
const MIN_METERING_MS = 10_000;

/** The `job:` section: keys of the original, and ours (`outgoing`, `huggingFace`, `metering`). */
export const jobConfigSchema = section({
  preheat: z.object({ tls: z.unknown().optional(), registryTimeout: z.unknown().optional() }).nullish(),
  syncPeers: section({
    interval: duration()
      .default(86_400_000)
      .refine((ms) => ms >= MIN_SYNC_PEERS_MS, { error: 'must be at least 1m' }),
    timeout: duration().default(600_000),
    batchSize: z.number().default(500),
  }),
  gc: z.unknown().optional(),
  rateLimit: z.unknown().optional(),
  // Which addresses registries, directory indexes and webhooks of jobs may have beside global ones.
  outgoing: section({
    allow: z.array(z.enum(['private', 'loopback', 'link-local', 'metadata'])).default([]),
    allowedRanges: z.array(z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()])).default([]),
  }),
  huggingFace: section({ endpoint: z.url({ protocol: /^https?$/ }).default('https://huggingface.co') }),
  metering: section({
    interval: duration()
      .default(60_000)
      .refine((ms) => ms >= MIN_METERING_MS, { error: 'must be at least 10s' }),
  }),
});

/** The section as the jobs use it. */
export function jobSettings(job: z.infer<typeof jobConfigSchema>): JobSettings {
  return {
    allowedAddresses: job.outgoing.allow,
    allowedRanges: job.outgoing.allowedRanges,
    huggingFaceEndpoint: job.huggingFace.endpoint.replace(/\/+$/, ''),
    syncPeersIntervalMs: job.syncPeers.interval,
    syncPeersTimeoutMs: job.syncPeers.timeout,
    meteringIntervalMs: job.metering.interval,
  };
}
