import { DfError } from '@dragonfly/errors';
import { createRedisKv, type Kv, type RedisAddress } from '@dragonfly/kv';
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
 * @throws DfError `invalid-argument` for addresses that make no sense
 */
export function openKv(config: SchedulerConfig, log: Logger, db = config.database.redis.backendDB): Kv | undefined {
  const { redis } = config.database;
  const addresses = redisAddressesOf(config);
  if (addresses.length === 0) return undefined;
  let loggedAtMs = -Infinity;
  return createRedisKv({
    addresses,
    ...optional('masterName', redis.masterName),
    ...optional('username', redis.username),
    ...optional('password', redis.password),
    ...optional('sentinelUsername', redis.sentinelUsername),
    ...optional('sentinelPassword', redis.sentinelPassword),
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

/**
 * The servers, or with a master name the sentinels; none when there is no Redis.
 * @throws DfError `invalid-argument` for addresses that make no sense
 */
export function redisAddressesOf({ database: { redis } }: SchedulerConfig): RedisAddress[] {
  const addresses = redis.addrs.filter((addr) => addr !== '').map(redisAddress);
  if (addresses.length > 1 && redis.masterName === '') {
    throw new DfError(
      'invalid-argument',
      'database.redis.addrs: several addresses need database.redis.masterName (sentinels); Redis Cluster is not supported',
    );
  }
  return addresses;
}

function redisAddress(text: string): RedisAddress {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new DfError('invalid-argument', `database.redis.addrs: ${text} is not host:port`);
  return { host, port: Number(match?.[3]) };
}

function optional<K extends string>(key: K, value: string): Partial<Record<K, string>> {
  const set: Partial<Record<K, string>> = {};
  if (value !== '') set[key] = value;
  return set;
}
