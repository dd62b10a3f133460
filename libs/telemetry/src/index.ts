export { FirstContact } from './first-contact.js';
export { createLogger, LOG_LEVELS, silentLogger, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export { Readiness, type Condition, type ReadinessSnapshot } from './readiness.js';
export { StatusServer, type StatusRoute, type StatusServerOptions } from './status-server.js';
export type { RotationLimits } from './rotating-file.js';
