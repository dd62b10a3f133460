import { BlockList, isIP } from 'node:net';
import type { SchedulerClusterEntity } from '@dragonfly/persistence';
import { compilePattern } from '../rest/pattern-text.js';

/** What a client tells about itself when it asks for schedulers. */
export interface SearchClient {
  readonly hostname: string;
  readonly ip: string;
  readonly idc: string;
  readonly location: string;
}

/** Weights of the terms of a cluster's score; each term is 0 … 1. Source: the original's searcher. */
const WEIGHTS = { cidr: 0.3, hostname: 0.3, idc: 0.25, location: 0.14, isDefault: 0.01 } as const;
const SEPARATOR = '|';
/** So many leading elements of a location count. */
const MAX_LOCATION_ELEMENTS = 5;
/** Scopes are read as at most so many entries: they are compared for every client. */
const MAX_SCOPE_ENTRIES = 1_000;
/** Hostname expressions that are kept compiled. */
const MAX_PATTERNS = 1_000;

export interface ClusterScore {
  readonly cidr: number;
  readonly hostname: number;
  readonly idc: number;
  readonly location: number;
  readonly isDefault: number;
  readonly total: number;
}

/** Scopes as they are compared: reading them for every client would cost more than comparing. */
interface ReadScopes {
  /** Undefined = none that can be read. */
  readonly ipv4: BlockList | undefined;
  readonly ipv6: BlockList | undefined;
  readonly hostnames: readonly NonNullable<ReturnType<typeof compilePattern>>[];
  /** In lower case; the whole text and its parts. */
  readonly idcs: ReadonlySet<string>;
  /** In lower case. */
  readonly location: string;
}

/** Scopes that have been read, by the objects they were read from: rows of a topology are never changed. */
const scopesRead = new WeakMap<object, ReadScopes>();

/**
 * How well a cluster fits a client. Scopes that cannot be read (a bad CIDR or expression) count as not matching.
 * @param cluster its scopes are read once and must not be changed afterwards
 */
export function scoreCluster(
  cluster: Pick<SchedulerClusterEntity, 'scopes' | 'isDefault'>,
  client: SearchClient,
): ClusterScore {
  let scopes = scopesRead.get(cluster.scopes);
  if (!scopes) {
    scopes = readScopes(cluster.scopes);
    scopesRead.set(cluster.scopes, scopes);
  }
  const terms = {
    cidr: cidrScore(scopes, client.ip),
    hostname: hostnameScore(scopes, client.hostname),
    idc: client.idc !== '' && scopes.idcs.has(client.idc.toLowerCase()) ? 1 : 0,
    location: locationScore(scopes.location, client.location.toLowerCase()),
    isDefault: cluster.isDefault ? 1 : 0,
  };
  const total = (Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]).reduce(
    (sum, term) => sum + WEIGHTS[term] * terms[term],
    0,
  );
  return { ...terms, total };
}

/** Best fitting clusters first; equal scores keep their order, so that answers are stable. */
export function rankClusters<T extends { readonly cluster: SchedulerClusterEntity }>(
  nodes: readonly T[],
  client: SearchClient,
): T[] {
  return nodes
    .map((node) => ({ node, score: scoreCluster(node.cluster, client).total }))
    .sort((a, b) => b.score - a.score)
    .map(({ node }) => node);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): string[] {
  return Array.isArray(value)
    ? value.filter((entry): entry is string => typeof entry === 'string').slice(0, MAX_SCOPE_ENTRIES)
    : [];
}

function readScopes(scopes: SchedulerClusterEntity['scopes']): ReadScopes {
  const idc = text(scopes['idc']).toLowerCase();
  const cidrs = texts(scopes['cidrs']);
  return {
    ipv4: subnets(cidrs, 'ipv4'),
    ipv6: subnets(cidrs, 'ipv6'),
    // People write these; one bad expression must not hide the cluster's other scopes.
    hostnames: texts(scopes['hostnames'])
      .map((expression) => hostnamePattern(expression))
      .filter((pattern) => pattern !== undefined),
    idcs: new Set(idc === '' ? [] : [idc, ...idc.split(SEPARATOR)]),
    location: text(scopes['location']).toLowerCase(),
  };
}

function subnets(cidrs: readonly string[], family: 'ipv4' | 'ipv6'): BlockList | undefined {
  const [version, maxBits] = family === 'ipv4' ? [4, 32] : [6, 128];
  let list: BlockList | undefined;
  for (const cidr of cidrs) {
    const [network = '', prefix = ''] = cidr.trim().split('/');
    const bits = Number(prefix);
    if (/^\d{1,3}$/.test(prefix) && isIP(network) === version && bits <= maxBits) {
      list ??= new BlockList();
      list.addSubnet(network, bits, family);
    }
  }
  return list;
}

function cidrScore({ ipv4, ipv6 }: ReadScopes, ip: string): number {
  const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip;
  switch (isIP(address)) {
    case 4:
      return ipv4?.check(address, 'ipv4') ? 1 : 0;
    case 6:
      return ipv6?.check(address, 'ipv6') ? 1 : 0;
    default:
      return 0;
  }
}

function hostnameScore({ hostnames }: ReadScopes, hostname: string): number {
  return hostname !== '' && hostnames.some((pattern) => pattern.test(hostname)) ? 1 : 0;
}

/** Expressions that have been read before; most clusters never change theirs. */
const hostnamePatterns = new Map<string, ReturnType<typeof compilePattern>>();

function hostnamePattern(expression: string): ReturnType<typeof compilePattern> {
  if (!hostnamePatterns.has(expression)) {
    if (hostnamePatterns.size >= MAX_PATTERNS) {
      hostnamePatterns.clear();
    }
    hostnamePatterns.set(expression, compilePattern(expression));
  }
  return hostnamePatterns.get(expression);
}

/** Both in lower case. */
function locationScore(scope: string, location: string): number {
  if (scope === '' || location === '') {
    return 0;
  }
  if (scope === location) {
    return 1;
  }
  const own = location.split(SEPARATOR);
  const theirs = scope.split(SEPARATOR);
  let equal = 0;
  while (equal < Math.min(own.length, theirs.length, MAX_LOCATION_ELEMENTS) && own[equal] === theirs[equal]) {
    equal += 1;
  }
  return equal / MAX_LOCATION_ELEMENTS;
}
