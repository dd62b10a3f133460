import { DIGEST_RE, MIN_PIECE_LENGTH_BYTES, type RuleTable } from './rule-table.js';

/** Rules of the package dfdaemon.v2. */
export const dfdaemonRules: RuleTable = {
  'dfdaemon.v2.DownloadTaskRequest': {
    fields: {
      download: { required: true },
    },
  },
  'dfdaemon.v2.DownloadPieceFinishedResponse': {
    fields: {
      piece: { required: true },
    },
  },
  'dfdaemon.v2.DownloadTaskResponse': {
    requiredOneofs: ['response'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'dfdaemon.v2.SyncPiecesRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      interested_piece_numbers: { minItems: 1 },
    },
  },
  'dfdaemon.v2.SyncPiecesResponse': {
    fields: {
      ip: { ip: true },
      tcp_port: { gte: 1024, lt: 65535, ignoreEmpty: true },
      quic_port: { gte: 1024, lt: 65535, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatLocalTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatLocalTaskResponse': {
    fields: {
      task_id: { minLength: 1 },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'dfdaemon.v2.ListLocalTasksRequest': {
    fields: {
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.ListTaskEntriesRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.ListTaskEntriesResponse': {
    fields: {
      status_code: { gte: 100, lt: 599, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DeleteTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DeleteLocalTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DownloadCacheTaskRequest': {
    fields: {
      url: { uri: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
      type: { definedOnly: true },
      priority: { definedOnly: true },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      output_path: { minLength: 1, ignoreEmpty: true },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DownloadCacheTaskResponse': {
    requiredOneofs: ['response'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'dfdaemon.v2.SyncCachePiecesRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      interested_cache_piece_numbers: { minItems: 1 },
    },
  },
  'dfdaemon.v2.DownloadCachePieceRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
    },
  },
  'dfdaemon.v2.DownloadCachePieceResponse': {
    fields: {
      piece: { required: true },
      digest: { pattern: DIGEST_RE, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DeleteCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DownloadPersistentTaskRequest': {
    fields: {
      url: { uri: true, ignoreEmpty: true },
      output_path: { minLength: 1, ignoreEmpty: true },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DownloadPersistentTaskResponse': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'dfdaemon.v2.UploadPersistentTaskRequest': {
    fields: {
      url: { uri: true },
      object_storage: { required: true },
      path: { minLength: 1 },
      ttl: { gteSeconds: 60, lteSeconds: 604800 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.UpdatePersistentTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatPersistentTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatLocalPersistentTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatLocalPersistentTaskResponse': {
    fields: {
      task_id: { minLength: 1 },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'dfdaemon.v2.ListLocalPersistentTasksRequest': {
    fields: {
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DeletePersistentTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.SyncPersistentPiecesRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      interested_piece_numbers: { minItems: 1 },
    },
  },
  'dfdaemon.v2.SyncPersistentPiecesResponse': {
    fields: {
      ip: { ip: true },
      tcp_port: { gte: 1024, lt: 65535, ignoreEmpty: true },
      quic_port: { gte: 1024, lt: 65535, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DownloadPersistentCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      output_path: { minLength: 1, ignoreEmpty: true },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DownloadPersistentCacheTaskResponse': {
    requiredOneofs: ['response'],
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'dfdaemon.v2.UploadPersistentCacheTaskRequest': {
    fields: {
      path: { minLength: 1 },
      persistent_replica_count: { gte: 1, lte: 5 },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      ttl: { gteSeconds: 60, lteSeconds: 604800 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.UpdatePersistentCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatPersistentCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatLocalPersistentCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.StatLocalPersistentCacheTaskResponse': {
    fields: {
      task_id: { minLength: 1 },
      piece_length: { gte: MIN_PIECE_LENGTH_BYTES, ignoreEmpty: true },
      created_at: { required: true },
      updated_at: { required: true },
    },
  },
  'dfdaemon.v2.ListLocalPersistentCacheTasksRequest': {
    fields: {
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.DeletePersistentCacheTaskRequest': {
    fields: {
      task_id: { minLength: 1 },
      remote_ip: { ip: true, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.SyncPersistentCachePiecesRequest': {
    fields: {
      host_id: { minLength: 1 },
      task_id: { minLength: 1 },
      interested_piece_numbers: { minItems: 1 },
    },
  },
  'dfdaemon.v2.SyncPersistentCachePiecesResponse': {
    fields: {
      ip: { ip: true },
      tcp_port: { gte: 1024, lt: 65535, ignoreEmpty: true },
      quic_port: { gte: 1024, lt: 65535, ignoreEmpty: true },
    },
  },
  'dfdaemon.v2.SyncHostRequest': {
    fields: {
      host_id: { minLength: 1 },
      peer_id: { minLength: 1 },
    },
  },
  'dfdaemon.v2.IBVerbsQueuePairEndpoint': {
    fields: {
      gid: { length: 16 },
    },
  },
  'dfdaemon.v2.ExchangeIBVerbsQueuePairEndpointRequest': {
    fields: {
      endpoint: { required: true },
    },
  },
  'dfdaemon.v2.ExchangeIBVerbsQueuePairEndpointResponse': {
    fields: {
      endpoint: { required: true },
    },
  },
};
