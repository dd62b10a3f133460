import { DIGEST_RE, MAX_PIECE_LENGTH_BYTES, MIN_PIECE_LENGTH_BYTES, type RuleTable } from './rule-table.js';

/** Rules of the package scheduler.v2. */
export const schedulerRules: RuleTable = {
  'scheduler.v2.RegisterPeerRequest': {
    fields: {
      download: { required: true },
    },
  },
  'scheduler.v2.DownloadPeerBackToSourceStartedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.ReschedulePeerRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPeerFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPeerBackToSourceFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPieceFinishedRequest': {
    fields: {
      piece: { required: true },
    },
  },
  'scheduler.v2.DownloadPieceBackToSourceFinishedRequest': {
    fields: {
      piece: { required: true },
    },
  },
  'scheduler.v2.DownloadPieceFailedRequest': {
    fields: {
      parent_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DownloadPieceBackToSourceFailedRequest': {
    requiredOneofs: ['response'],
  },
  'scheduler.v2.AnnouncePeerRequest': {
    requiredOneofs: ['request'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.NormalTaskResponse': {
    fields: {
      candidate_parents: { minItems: 1 },
    },
  },
  'scheduler.v2.NeedBackToSourceResponse': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.AnnouncePeerResponse': {
    requiredOneofs: ['response'],
  },
  'scheduler.v2.StatPeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeletePeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.StatTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeleteTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.AnnounceHostRequest': {
    fields: {
      host: { required: true },
    },
  },
  'scheduler.v2.DeleteHostRequest': {
    fields: {
      host_id: { minLength: 1 },
    },
  },
  'scheduler.v2.RegisterCachePeerRequest': {
    fields: {
      url: { uri: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
      type: { definedOnly: true },
      priority: { definedOnly: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      output_path: { minLength: 1, ignoreEmpty: true },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadCachePeerBackToSourceStartedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.RescheduleCachePeerRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadCachePeerFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadCachePeerBackToSourceFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.AnnounceCachePeerRequest': {
    requiredOneofs: ['request'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.NormalCacheTaskResponse': {
    fields: {
      candidate_parents: { minItems: 1 },
    },
  },
  'scheduler.v2.AnnounceCachePeerResponse': {
    requiredOneofs: ['response'],
  },
  'scheduler.v2.StatCachePeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeleteCachePeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.StatCacheTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeleteCacheTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.RegisterPersistentPeerRequest': {
    fields: {
      url: { uri: true },
      object_storage: { required: true },
      output_path: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPersistentPeerBackToSourceStartedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.ReschedulePersistentPeerRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPersistentPeerFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPersistentPeerBackToSourceFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.AnnouncePersistentPeerRequest': {
    requiredOneofs: ['request'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.NormalPersistentTaskResponse': {
    fields: {
      candidate_parents: { minItems: 1 },
    },
  },
  'scheduler.v2.AnnouncePersistentPeerResponse': {
    requiredOneofs: ['response'],
  },
  'scheduler.v2.StatPersistentPeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeletePersistentPeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.UploadPersistentTaskStartedRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
      url: { uri: true },
      object_storage: { required: true },
      persistent_replica_count: { gte: 1 },
      ttl: { gteSeconds: 300, lteSeconds: 604800 },
    },
  },
  'scheduler.v2.UploadPersistentTaskFinishedRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.UploadPersistentTaskFailedRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.StatPersistentTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeletePersistentTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.RegisterPersistentCachePeerRequest': {
    fields: {
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES },
      output_path: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.ReschedulePersistentCachePeerRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.DownloadPersistentCachePeerFailedRequest': {
    fields: {
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.AnnouncePersistentCachePeerRequest': {
    requiredOneofs: ['request'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.NormalPersistentCacheTaskResponse': {
    fields: {
      candidate_parents: { minItems: 1 },
    },
  },
  'scheduler.v2.AnnouncePersistentCachePeerResponse': {
    requiredOneofs: ['response'],
  },
  'scheduler.v2.StatPersistentCachePeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeletePersistentCachePeerRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.UploadPersistentCacheTaskStartedRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
      persistent_replica_count: { gte: 1 },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES },
      ttl: { gteSeconds: 300, lteSeconds: 604800 },
    },
  },
  'scheduler.v2.UploadPersistentCacheTaskFinishedRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'scheduler.v2.UploadPersistentCacheTaskFailedRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
      description: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.StatPersistentCacheTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.DeletePersistentCacheTaskRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'scheduler.v2.PreheatImageRequest': {
    fields: {
      url: { uri: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      scope: { pattern: /^(single_seed_peer|all_seed_peers|all_peers)$/ },
      percentage: { gte: 1, lte: 100, ignoreEmpty: true },
      count: { gte: 1, lte: 200, ignoreEmpty: true },
      concurrent_task_count: { gte: 1, lte: 100, ignoreEmpty: true },
      concurrent_peer_count: { gte: 1, lte: 1000, ignoreEmpty: true },
      priority: { definedOnly: true },
    },
  },
  'scheduler.v2.StatImageRequest': {
    fields: {
      url: { uri: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      concurrent_layer_count: { gte: 1, lte: 100, ignoreEmpty: true },
      concurrent_peer_count: { gte: 1, lte: 1000, ignoreEmpty: true },
      scope: { pattern: /^(all_seed_peers|all_peers)$/, ignoreEmpty: true },
    },
  },
  'scheduler.v2.PeerImage': {
    fields: {
      ip: { ip: true },
      hostname: { minLength: 1 },
    },
  },
  'scheduler.v2.Layer': {
    fields: {
      url: { uri: true },
    },
  },
  'scheduler.v2.PreheatFileRequest': {
    fields: {
      url: { uri: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      scope: { pattern: /^(single_seed_peer|all_seed_peers|all_peers)$/ },
      percentage: { gte: 1, lte: 100, ignoreEmpty: true },
      count: { gte: 1, lte: 200, ignoreEmpty: true },
      concurrent_task_count: { gte: 1, lte: 100, ignoreEmpty: true },
      concurrent_peer_count: { gte: 1, lte: 1000, ignoreEmpty: true },
      priority: { definedOnly: true },
      output_path: { minLength: 1, ignoreEmpty: true },
    },
  },
  'scheduler.v2.StatFileRequest': {
    fields: {
      url: { uri: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, lte: MAX_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      concurrent_peer_count: { gte: 1, lte: 1000, ignoreEmpty: true },
    },
  },
  'scheduler.v2.File': {
    fields: {
      url: { uri: true },
    },
  },
};
