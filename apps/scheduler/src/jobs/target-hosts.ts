import { createHash } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import type { Host } from '@dragonfly/scheduling';
import type { HostTarget } from './job-spec.js';

/** What a target comes to. */
export interface TargetHosts {
  readonly hosts: readonly Host[];
  /** Addresses that no host of the scope has. */
  readonly unknownIps: readonly string[];
}

/**
 * The hosts that a target with the scope `all-…` stands for: the named ones, else so many, else that share, rounded up.
 * Which ones of many follows from `seed` alone, so that a repeated preheat of the same content reaches the same hosts and
 * different contents spread.
 * @throws DfError `failed-precondition` when the scope holds no host
 */
export function targetHosts(all: Iterable<Host>, target: HostTarget, seed: string): TargetHosts {
  const inScope = [...all].filter((host) => isInScope(host, target));
  if (inScope.length === 0) {
    const what = target.scope === 'all-peers' ? 'peers' : 'seed peers';
    throw new DfError('failed-precondition', `no ${what} are known to this scheduler`);
  }
  if (target.ips.length > 0) {
    const wanted = new Set(target.ips);
    const hosts = inScope.filter(({ facts }) => wanted.has(facts.ip));
    const found = new Set(hosts.map(({ facts }) => facts.ip));
    return { hosts, unknownIps: [...wanted].filter((ip) => !found.has(ip)) };
  }
  const count = countOf(target, inScope.length);
  if (count >= inScope.length) return { hosts: inScope, unknownIps: [] };
  const ranked = inScope
    .map((host) => ({ host, rank: createHash('sha256').update(`${seed}\0${host.id}`).digest('hex') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return { hosts: ranked.slice(0, count).map(({ host }) => host), unknownIps: [] };
}

/** Whether the scope of the target holds any host. */
export function hasHosts(all: Iterable<Host>, target: HostTarget): boolean {
  for (const host of all) if (isInScope(host, target)) return true;
  return false;
}

function isInScope(host: Host, { scope }: HostTarget): boolean {
  return scope === 'all-peers' || host.facts.isSeed;
}

function countOf({ count, percentage }: HostTarget, available: number): number {
  if (count !== undefined) return Math.min(count, available);
  if (percentage !== undefined) return Math.ceil((available * percentage) / 100);
  return available;
}
