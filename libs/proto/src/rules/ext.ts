import type { RuleTable } from './rule-table.js';

/** Rules of our own package dragonfly.ext.v1. */
export const extRules: RuleTable = {
  'dragonfly.ext.v1.RunJobRequest': {
    fields: { job_id: { minLength: 1, maxLength: 256 }, timeout: { required: true, gteSeconds: 1 } },
    requiredOneofs: ['job'],
  },
  'dragonfly.ext.v1.PreheatJob': {
    fields: {
      downloads: { minItems: 1 },
      scope: { definedOnly: true },
      count: { gte: 1, ignoreEmpty: true },
      percentage: { gte: 1, lte: 100, ignoreEmpty: true },
      concurrent_task_count: { lte: 1_000 },
      concurrent_peer_count: { lte: 1_000 },
    },
  },
  'dragonfly.ext.v1.GetTaskJob': { fields: { task_id: { minLength: 1 } } },
  'dragonfly.ext.v1.DeleteTaskJob': { fields: { task_id: { minLength: 1 } } },
  'dragonfly.ext.v1.CancelJobRequest': { fields: { job_id: { minLength: 1 } } },
  'dragonfly.ext.v1.ListDownloadsRequest': { fields: { page_size: { lte: 1_000 } } },
  'dragonfly.ext.v1.SummarizeDownloadsRequest': {
    fields: { interval: { gteSeconds: 60 }, group: { definedOnly: true }, group_limit: { lte: 1_000 } },
  },
  'dragonfly.ext.v1.SubscribeRequest': { fields: { kind: { in: ['scheduler', 'peer', 'seed-peer'] } } },
  'dragonfly.ext.v1.IssueCertificateRequest': { fields: { csr: { minLength: 1, maxLength: 65_536 } } },
  'dragonfly.ext.v1.PushSubscribeRequest': { fields: { host_id: { minLength: 1 } } },
  'dragonfly.ext.v1.HoldSourceRequest': {
    fields: {
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
      host_id: { minLength: 1 },
      origin: { minLength: 1, maxLength: 2_048 },
    },
  },
};
