import { DIGEST_RE, MAX_PIECE_LENGTH_BYTES, MIN_PIECE_LENGTH_BYTES, type RuleTable } from './rule-table.js';

/** Rules of the package common.v2. */
export const commonRules: RuleTable = {
  'common.v2.Peer': {
    fields: {
      id: { minLength: 1 },
      priority: { definedOnly: true },
      pieces: { minItems: 1, ignoreEmpty: true },
      cost: { required: true },
      state: { minLength: 1 },
      task: { required: true },
      host: { required: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.CachePeer': {
    fields: {
      id: { minLength: 1 },
      priority: { definedOnly: true },
      pieces: { minItems: 1, ignoreEmpty: true },
      cost: { required: true },
      state: { minLength: 1 },
      task: { required: true },
      host: { required: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.PersistentPeer': {
    fields: {
      id: { minLength: 1 },
      cost: { required: true },
      state: { minLength: 1 },
      task: { required: true },
      host: { required: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.PersistentCachePeer': {
    fields: {
      id: { minLength: 1 },
      cost: { required: true },
      state: { minLength: 1 },
      task: { required: true },
      host: { required: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.Task': {
    fields: {
      id: { minLength: 1 },
      type: { definedOnly: true },
      url: { uri: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
      pieces: { minItems: 1, ignoreEmpty: true },
      state: { minLength: 1 },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.CacheTask': {
    fields: {
      id: { minLength: 1 },
      type: { definedOnly: true },
      url: { uri: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
      pieces: { minItems: 1, ignoreEmpty: true },
      state: { minLength: 1 },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.PersistentTask': {
    fields: {
      id: { minLength: 1 },
      persistent_replica_count: { gte: 1 },
      state: { minLength: 1 },
      ttl: { required: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.PersistentCacheTask': {
    fields: {
      id: { minLength: 1 },
      persistent_replica_count: { gte: 1 },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES },
      state: { minLength: 1 },
      ttl: { required: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'common.v2.Host': {
    fields: {
      id: { minLength: 1 },
      type: { lte: 3 },
      hostname: { minLength: 1 },
      ip: { ip: true },
      port: { gte: 1024, lt: 65535 },
      download_port: { gte: 1024, lt: 65535 },
    },
  },
  'common.v2.CPU': {
    fields: {
      percent: { gte: 0 },
      process_percent: { gte: 0 },
    },
  },
  'common.v2.CPUTimes': {
    fields: {
      user: { gte: 0 },
      system: { gte: 0 },
      idle: { gte: 0 },
      nice: { gte: 0 },
      iowait: { gte: 0 },
      irq: { gte: 0 },
      softirq: { gte: 0 },
      steal: { gte: 0 },
      guest: { gte: 0 },
      guest_nice: { gte: 0 },
    },
  },
  'common.v2.Memory': {
    fields: {
      used_percent: { gte: 0, lte: 100 },
      process_used_percent: { gte: 0, lte: 100 },
    },
  },
  'common.v2.Disk': {
    fields: {
      used_percent: { gte: 0, lte: 100 },
      inodes_used_percent: { gte: 0, lte: 100 },
    },
  },
  'common.v2.Download': {
    fields: {
      url: { uri: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
      type: { definedOnly: true },
      priority: { definedOnly: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      output_path: { minLength: 1, ignoreEmpty: true },
      remote_ip: { ip: true, ignoreEmpty: true },
      scheduling_policy: { definedOnly: true },
    },
  },
  'common.v2.ObjectStorage': {
    fields: {
      region: { minLength: 1, ignoreEmpty: true },
      endpoint: { minLength: 1, ignoreEmpty: true },
      access_key_id: { minLength: 1 },
      access_key_secret: { minLength: 1 },
      session_token: { minLength: 1, ignoreEmpty: true },
      credential_path: { minLength: 1, ignoreEmpty: true },
      predefined_acl: { minLength: 1, ignoreEmpty: true },
      security_token: { minLength: 1, ignoreEmpty: true },
    },
  },
  'common.v2.HDFS': {
    fields: {
      delegation_token: { minLength: 1, ignoreEmpty: true },
    },
  },
  'common.v2.HuggingFace': {
    fields: {
      token: { minLength: 1, ignoreEmpty: true },
      revision: { minLength: 1 },
      base_url: { uri: true, ignoreEmpty: true },
    },
  },
  'common.v2.ModelScope': {
    fields: {
      token: { minLength: 1, ignoreEmpty: true },
      revision: { minLength: 1 },
      base_url: { uri: true, ignoreEmpty: true },
    },
  },
  'common.v2.OpenCSG': {
    fields: {
      token: { minLength: 1, ignoreEmpty: true },
      revision: { minLength: 1 },
      base_url: { uri: true, ignoreEmpty: true },
    },
  },
  'common.v2.Piece': {
    fields: {
      parent_id: { minLength: 1, ignoreEmpty: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
      content: { minLength: 1, ignoreEmpty: true },
      cost: { required: true },
      created_at: { required: true },
    },
  },
};
