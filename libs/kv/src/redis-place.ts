import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { DfError } from '@dragonfly/errors';
import type { RedisOptions } from 'ioredis';

/** Address of one Redis or sentinel process. */
export interface RedisAddress {
  host: string;
  port: number;
}

/** Where a Redis is and how to get in. */
export interface RedisPlace {
  /** One server; or, with `masterName`, the sentinels. */
  addresses: readonly RedisAddress[];
  /** Name of the master that the sentinels know. */
  masterName?: string;
  username?: string;
  password?: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
  /** TLS towards the server, and towards the sentinels. @default none */
  tls?: ConnectionOptions;
}

/** `database.redis` of a configuration file, as far as it says where the server is; empty texts say nothing. */
export interface RedisSection {
  /** `host:port`, or `[ipv6]:port`, each. */
  readonly addrs: readonly string[];
  readonly masterName: string;
  readonly username: string;
  readonly password: string;
  readonly sentinelUsername: string;
  readonly sentinelPassword: string;
  /** Paths of PEM files. Any of them, or an empty section, turns TLS on. */
  readonly tls?:
    | {
        readonly caCert?: string | undefined;
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
        readonly insecureSkipVerify?: boolean | undefined;
      }
    | null
    | undefined;
}

/**
 * What a configuration file says of its Redis.
 * @returns undefined when it names none
 * @throws DfError `invalid-argument` for addresses that make no sense, and for TLS files that cannot be read
 */
export function redisPlaceOf(section: RedisSection): RedisPlace | undefined {
  const addresses = section.addrs.filter((address) => address !== '').map(redisAddress);
  if (addresses.length === 0) return undefined;
  if (addresses.length > 1 && section.masterName === '') {
    throw new DfError(
      'invalid-argument',
      'database.redis.addrs: several addresses need database.redis.masterName (sentinels); Redis Cluster is not supported',
    );
  }
  return {
    addresses,
    masterName: section.masterName || undefined,
    username: section.username || undefined,
    password: section.password || undefined,
    sentinelUsername: section.sentinelUsername || undefined,
    sentinelPassword: section.sentinelPassword || undefined,
    tls: tlsOf(section.tls),
  };
}

/**
 * The part of the options of every connection to a Redis that says where it is; how a connection behaves when it breaks
 * is its owner's to add.
 * @param sentinelRetryStrategy pause before sentinels are asked again, ms; null = not again. @default ioredis' own
 * @throws DfError `invalid-argument` without an address
 */
export function connectionOptions(
  place: RedisPlace,
  sentinelRetryStrategy?: (attempt: number) => number | null,
): RedisOptions {
  const [first] = place.addresses;
  if (first === undefined) throw new DfError('invalid-argument', 'addresses: must name at least one Redis server');
  const { username, password, sentinelUsername, sentinelPassword, tls } = place;
  if (!place.masterName) return { host: first.host, port: first.port, username, password, tls };
  return {
    sentinels: place.addresses.map((address) => ({ ...address })),
    name: place.masterName,
    ...(sentinelRetryStrategy === undefined ? {} : { sentinelRetryStrategy }),
    sentinelUsername,
    sentinelPassword,
    username,
    password,
    tls,
    // Otherwise the sentinels would be asked in the clear, and the master that they name reached in the clear.
    ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}

function redisAddress(text: string): RedisAddress {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new DfError('invalid-argument', `database.redis.addrs: "${text}" must be host:port`);
  return { host, port: Number(match?.[3]) };
}

function tlsOf(files: RedisSection['tls']): ConnectionOptions | undefined {
  if (files == null) return undefined;
  return {
    ca: fileOf('caCert', files.caCert),
    cert: fileOf('cert', files.cert),
    key: fileOf('key', files.key),
    rejectUnauthorized: files.insecureSkipVerify !== true,
  };
}

function fileOf(key: string, path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new DfError('invalid-argument', `database.redis.tls.${key}: ${DfError.from(error).message}`, {
      cause: error,
    });
  }
}
