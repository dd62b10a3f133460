export { asHostId, asPeerId, asTaskId, type HostId, type PeerId, type TaskId } from './brand.js';
export { canonicalUrl, type UrlRule } from './canonical-url.js';
export {
  type ComputableAlgorithm,
  crc32Digest,
  crc32OfDigest,
  createDigestHasher,
  type Digest,
  type DigestAlgorithm,
  type DigestHasher,
  digestMatches,
  digestsEqual,
  formatDigest,
  isComputable,
  parseDigest,
  tryParseDigest,
} from './digest.js';
export { DEFAULT_FILTERED_QUERY_PARAMS } from './filtered-query-params.js';
export { hostId, peerId } from './host-id.js';
export { IdError, type IdErrorCode } from './id-error.js';
export {
  type ByteRange,
  MAX_PIECE_LENGTH_BYTES,
  MIN_PIECE_LENGTH_BYTES,
  pieceCount,
  pieceLengthFor,
  type PieceRange,
  pieceRange,
  type PieceSpan,
  piecesOfRange,
} from './piece-length.js';
export { SIZE_SCOPE_NUMBERS, type SizeScope, sizeScope, TINY_CONTENT_LENGTH_BYTES } from './size-scope.js';
export {
  type PersistentCacheTaskIdInput,
  persistentCacheTaskId,
  persistentCacheTaskIdOfFile,
  type PersistentTaskIdInput,
  persistentTaskId,
  pieceId,
  taskIdOfBlobDigestUrl,
  taskIdOfContent,
  taskIdOfUrl,
  type UrlTaskIdInput,
} from './task-id.js';
