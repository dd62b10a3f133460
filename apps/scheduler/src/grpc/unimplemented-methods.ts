/** Unary methods of scheduler.v2.Scheduler for task kinds that this scheduler does not serve yet. */
export const UNIMPLEMENTED_UNARY = [
  'StatCachePeer',
  'DeleteCachePeer',
  'StatCacheTask',
  'DeleteCacheTask',
  'StatPersistentPeer',
  'DeletePersistentPeer',
  'UploadPersistentTaskStarted',
  'UploadPersistentTaskFinished',
  'UploadPersistentTaskFailed',
  'StatPersistentTask',
  'DeletePersistentTask',
  'StatPersistentCachePeer',
  'DeletePersistentCachePeer',
  'UploadPersistentCacheTaskStarted',
  'UploadPersistentCacheTaskFinished',
  'UploadPersistentCacheTaskFailed',
  'StatPersistentCacheTask',
  'DeletePersistentCacheTask',
] as const;

/** Streams of the same kind. */
export const UNIMPLEMENTED_STREAMS = [
  'AnnounceCachePeer',
  'AnnouncePersistentPeer',
  'AnnouncePersistentCachePeer',
] as const;
