import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { createRequire } from 'node:module';
import { isIP, type LookupFunction } from 'node:net';
import { rootCertificates } from 'node:tls';
import { DfError } from '@dragonfly/errors';
import type { Agent } from 'undici';
import type { AddressGuard } from './address-guard.js';

/** Whom a TLS server must convince. */
export interface OutgoingTls {
  /** PEM certificates trusted beside the ones of the system. @default none */
  readonly caCertificates?: readonly string[];
  /** Takes any certificate. @default false */
  readonly insecureSkipVerify?: boolean;
}

export interface GuardedAgentOptions {
  readonly guard: AddressGuard;
  readonly tls?: OutgoingTls;
  /** Longest set-up of a connection, name resolution and TLS included, in ms. @default 5000 */
  readonly connectTimeoutMs?: number;
  /** Connections for each origin. @default 16 */
  readonly maxConnections?: number;
  /** For tests. @default the system's resolver */
  readonly lookup?: ResolveHost;
}

/** Finds the addresses of a host name. */
export type ResolveHost = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** DER certificates, as they travel in requests, as PEM. */
export function pemOfDer(certificates: readonly Uint8Array[]): string[] {
  return certificates.map((der) => {
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  });
}

/**
 * An undici agent that connects only to addresses that the guard lets pass. The check is made on the address that is
 * dialled, so neither a name that resolves differently the second time nor a redirect gets around it.
 *
 * Pass it as `dispatcher` and close it. A refused connection fails with the guard's DfError `permission-denied`,
 * possibly as a cause.
 */
export function guardedAgent(options: GuardedAgentOptions): Agent {
  const { guard, tls } = options;
  const { Agent: UndiciAgent, buildConnector } = undici();
  const ca = tls?.caCertificates ?? [];
  const connect = buildConnector({
    timeout: options.connectTimeoutMs ?? 5_000,
    lookup: guardedLookup(guard, options.lookup ?? resolveBySystem),
    rejectUnauthorized: tls?.insecureSkipVerify !== true,
    ...(ca.length === 0 ? {} : { ca: [...rootCertificates, ...ca] }),
  });
  return new UndiciAgent({
    connections: options.maxConnections ?? 16,
    connect: (target, callback) => {
      const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
      try {
        // Node does not ask the lookup function about a host that is an address already.
        if (isIP(host) !== 0) guard.check(host, host);
      } catch (error) {
        callback(DfError.from(error), null);
        return;
      }
      connect(target, callback);
    },
  });
}

/** Loaded when it is needed first: a service that asks nobody saves some megabytes. */
export function undici(): typeof import('undici') {
  return createRequire(import.meta.url)('undici') as typeof import('undici');
}

/** Resolves a name to those of its addresses that may be dialled; fails when there is none. */
function guardedLookup(guard: AddressGuard, resolve: ResolveHost): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, found) => {
      if (error !== null) {
        callback(error, [], 0);
        return;
      }
      const family = options.family === 4 || options.family === 6 ? options.family : 0;
      const usable = found.filter((entry) => family === 0 || entry.family === family);
      const allowed = usable.filter(({ address }) => guard.refusal(address) === undefined);
      const [first] = allowed;
      if (first === undefined) {
        callback(refusalOf(hostname, usable, guard), [], 0);
      } else if (options.all === true) {
        callback(null, allowed);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

function refusalOf(hostname: string, addresses: readonly LookupAddress[], guard: AddressGuard): Error {
  for (const { address } of addresses) {
    try {
      guard.check(address, hostname);
    } catch (error) {
      return DfError.from(error);
    }
  }
  return Object.assign(new Error(`no address found for ${hostname}`), { code: 'ENOTFOUND' });
}

const resolveBySystem: ResolveHost = (hostname, callback) => {
  systemLookup(hostname, { all: true }, callback);
};
