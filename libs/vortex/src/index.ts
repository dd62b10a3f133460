export { BufferPool, type BufferPoolOptions } from './buffer-pool.js';
export { crc32, crc32Implementation } from './crc32.js';
export { FrameError, type FrameErrorCode } from './frame-error.js';
export {
  CLOSE_TAG,
  contentTag,
  decodeErrorValue,
  decodeFrameHeader,
  decodePieceContentValue,
  decodePieceRequest,
  encodeErrorFrame,
  encodeFrameHeader,
  encodePieceContentHead,
  encodePieceRequest,
  ERROR_TAG,
  FRAME_HEADER_LENGTH_BYTES,
  type FrameHeader,
  isWireTaskId,
  MAX_ANSWER_VALUE_LENGTH_BYTES,
  MAX_DIGEST_LENGTH_BYTES,
  MAX_ERROR_TEXT_LENGTH_BYTES,
  MAX_PARENT_ID_LENGTH_BYTES,
  meaningOfTag,
  PIECE_REQUEST_VALUE_LENGTH_BYTES,
  type PieceKind,
  type PieceMetadata,
  type PieceRequest,
  requestTag,
  type TagMeaning,
  WIRE_ERROR_CODES,
  WIRE_TASK_ID_LENGTH,
  type WireError,
} from './frame.js';
export { MAX_OUTSTANDING_WRITES, type PieceSink } from './piece-receiver.js';
export type { OpenPiece, PieceSource, VortexLog } from './piece-source.js';
export { RateLimiter, type RateLimiterOptions } from './rate-limiter.js';
export {
  type FetchPieceRequest,
  type ReceivedPiece,
  VortexClient,
  type VortexClientOptions,
  type VortexClientStats,
} from './vortex-client.js';
export { VortexServer, type VortexServerOptions, type VortexServerStats } from './vortex-server.js';
