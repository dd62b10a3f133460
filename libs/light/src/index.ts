export {
  decodeBody,
  encodeMessage,
  FRAME_HEADER_BYTES,
  FrameError,
  FrameReader,
  MAX_FRAME_BYTES,
  type FrameErrorReason,
  type JsonObject,
} from './frame.js';
export * from './messages.js';
export { parseClientMessage, parseDaemonMessage, parseDownloadRequest } from './validate.js';
export { LightClient, type LightConnectOptions, type LightDownloadObserver } from './client.js';
export { LightServer, type LightHandler, type LightLogger, type LightServerOptions } from './server.js';
