import { DfError } from '@dragonfly/errors';
import { createRedisKv, type Kv, redisPlaceOf } from '@dragonfly/kv';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerConfig } from './config/scheduler-config.js';

/** A decision about a download does not wait longer for Redis; without it each scheduler decides by itself. */
const COMMAND_TIMEOUT_MS = 1000;
/** Lost connections are logged at most this often. */
const ERROR_LOG_INTERVAL_MS = 30_000;

/** Database of persistent tasks: the original's, whatever else is configured. */
export const PERSISTENT_TASKS_DB = 0;

/**
 * What the schedulers of a cluster share.
 * @param db number of the database
 * @returns undefined when no Redis is configured: this scheduler is alone
 * @throws DfError `invalid-argument` for addresses that make no sense, or TLS files that cannot be read
 */
export function openKv(config: SchedulerConfig, log: Logger, db = config.database.redis.backendDB): Kv | undefined {
  const place = redisPlaceOf(config.database.redis);
  if (place === undefined) return undefined;
  let loggedAtMs = -Infinity;
  return createRedisKv({
    ...place,
    db,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    connectTimeoutMs: COMMAND_TIMEOUT_MS,
    onError: (error) => {
      const nowMs = performance.now();
      if (nowMs - loggedAtMs < ERROR_LOG_INTERVAL_MS) return;
      loggedAtMs = nowMs;
      log.warn({ reason: DfError.from(error).message }, 'redis');
    },
  });
}
