import { connectionOptions, redisPlaceOf } from '@dragonfly/kv';
import { Redis } from 'ioredis';
import type { SchedulerConfig } from '../config/scheduler-config.js';

const CONNECT_TIMEOUT_MS = 3_000;
/** Longest wait for the server to take note of a closed connection. */
const DISCONNECT_TIMEOUT_MS = 200;

/**
 * How the job queue's databases are reached: a connection for each purpose, made when asked for and not again by itself,
 * because whoever uses it must know that it was gone.
 * @returns undefined when no Redis is configured
 * @throws DfError `invalid-argument` for addresses that make no sense
 */
export function jobRedis(config: SchedulerConfig): ((database: 'broker' | 'backend') => Redis) | undefined {
  const { redis } = config.database;
  const place = redisPlaceOf(redis);
  if (place === undefined) return undefined;
  const options = connectionOptions(place, () => null);
  return (database) => {
    const connection = new Redis({
      ...options,
      db: database === 'broker' ? redis.brokerDB : redis.backendDB,
      lazyConnect: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // A server that is gone must not keep the process for the default of 2 s.
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      retryStrategy: () => null,
      reconnectOnError: () => false,
      enableOfflineQueue: false,
      autoResubscribe: false,
    });
    // What goes wrong is told by the command that fails.
    connection.on('error', () => undefined);
    return connection;
  };
}
