export { applyEnvironment } from './environment.js';
export { loadConfig, type LoadConfigOptions, type LoadedConfig } from './load-config.js';
export {
  byteSize,
  duration,
  formatBytes,
  formatDuration,
  host,
  parseByteSize,
  parseDuration,
  port,
} from './quantities.js';
