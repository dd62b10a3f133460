export { HttpBackend, type HttpBackendOptions } from './http/http-backend.js';
export { proxyFor, type ProxySettings } from './http/proxy-settings.js';
export type { OriginErrorDetails } from './origin-error.js';
export {
  SourceBackend,
  type ByteRange,
  type ByteReceiver,
  type ExpectedContent,
  type RangeRequest,
  type SourceBody,
  type SourceInfo,
  type SourceRequest,
} from './source-backend.js';
export { SourceRegistry } from './source-registry.js';
