import { BlockList, isIP, isIPv4 } from 'node:net';
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

/** How well a cluster fits a client. Scopes that cannot be read (a bad CIDR or expression) count as not matching. */
export function scoreCluster(
  cluster: Pick<SchedulerClusterEntity, 'scopes' | 'isDefault'>,
  client: SearchClient,
): ClusterScore {
  const { scopes } = cluster;
  const terms = {
    cidr: cidrScore(texts(scopes['cidrs']), client.ip),
    hostname: hostnameScore(texts(scopes['hostnames']), client.hostname),
    idc: idcScore(text(scopes['idc']), client.idc),
    location: locationScore(text(scopes['location']), client.location),
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

function cidrScore(cidrs: readonly string[], ip: string): number {
  const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip;
  if (!isIP(address)) {
    return 0;
  }
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  return cidrs.some((cidr) => {
    const [network = '', prefix = ''] = cidr.trim().split('/');
    const version = isIP(network);
    const bits = Number(prefix);
    if (!/^\d{1,3}$/.test(prefix) || version !== (family === 'ipv4' ? 4 : 6) || bits > (version === 4 ? 32 : 128)) {
      return false;
    }
    const list = new BlockList();
    list.addSubnet(network, bits, family);
    return list.check(address, family);
  })
    ? 1
    : 0;
}

function hostnameScore(expressions: readonly string[], hostname: string): number {
  if (hostname === '') {
    return 0;
  }
  // People write these; one bad expression must not hide the cluster's other scopes.
  return expressions.some((expression) => hostnamePattern(expression)?.test(hostname)) ? 1 : 0;
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

function idcScore(scope: string, idc: string): number {
  if (scope === '' || idc === '') {
    return 0;
  }
  const wanted = idc.toLowerCase();
  return [scope, ...scope.split(SEPARATOR)].some((part) => part.toLowerCase() === wanted) ? 1 : 0;
}

function locationScore(scope: string, location: string): number {
  if (scope === '' || location === '') {
    return 0;
  }
  if (scope.toLowerCase() === location.toLowerCase()) {
    return 1;
  }
  const own = location.toLowerCase().split(SEPARATOR);
  const theirs = scope.toLowerCase().split(SEPARATOR);
  let equal = 0;
  while (equal < Math.min(own.length, theirs.length, MAX_LOCATION_ELEMENTS) && own[equal] === theirs[equal]) {
    equal += 1;
  }
  return equal / MAX_LOCATION_ELEMENTS;
}
