import { readFile } from 'node:fs/promises';
import { lookup } from 'node:dns/promises';
import { DfError } from '@dragonfly/errors';
import { parse } from 'yaml';
import { splitAddress } from '../config/sections.js';
import type { RoleProfile } from '../role-profile.js';
import { parseBlockList } from './block-list.js';
import type { ClusterView, DynconfigSource, SchedulerAddress } from './cluster-view.js';

/** Schedulers named in the configuration itself. */
export class StaticSource implements DynconfigSource {
  readonly name = 'scheduler.addrs of the configuration';

  constructor(private readonly addresses: readonly string[]) {}

  async load(): Promise<ClusterView> {
    return { schedulers: this.addresses.map(toAddress), blockList: parseBlockList('', () => {}) };
  }
}

/**
 * The local dynconfig file of a daemon without a manager: `scheduler.addrs` (wins) or `scheduler.addr` (one name, every
 * address of which is a scheduler), `clientConfig`, `seedClientConfig`.
 */
export class FileSource implements DynconfigSource {
  readonly name: string;

  constructor(
    private readonly path: string,
    private readonly profile: RoleProfile,
    private readonly onProblem: (problem: string) => void,
  ) {
    this.name = `file ${path}`;
  }

  async load(): Promise<ClusterView> {
    let value: unknown;
    try {
      value = parse(await readFile(this.path, 'utf8'));
    } catch (caught) {
      throw new DfError('invalid-argument', `cannot read ${this.path}: ${DfError.from(caught).message}`, {
        cause: caught,
      });
    }
    const scheduler = member(value, 'scheduler');
    const addrs = member(scheduler, 'addrs');
    const addr = member(scheduler, 'addr');
    const client = member(value, this.profile.isSeed ? 'seedClientConfig' : 'clientConfig');
    return {
      schedulers:
        Array.isArray(addrs) && addrs.length > 0
          ? addrs.map((entry) => toAddress(String(entry)))
          : typeof addr === 'string' && addr !== ''
            ? await resolveAll(addr)
            : [],
      blockList: parseBlockList(client === undefined ? '' : JSON.stringify(client), this.onProblem),
    };
  }
}

function toAddress(text: string): SchedulerAddress {
  const split = splitAddress(text.trim());
  if (split === undefined) throw new DfError('invalid-argument', `scheduler address ${text}: must be host:port`);
  return { hostname: '', host: split.host, port: split.port, clusterId: 0 };
}

/** Every address of a name, IPv4 ones alone when there are any; sorted, so that all daemons agree. */
async function resolveAll(text: string): Promise<SchedulerAddress[]> {
  const { host, port } = toAddress(text);
  const found = await lookup(host, { all: true }).catch((caught: unknown) => {
    throw new DfError('unavailable', `cannot resolve scheduler ${host}`, { cause: caught });
  });
  const ipv4 = found.filter(({ family }) => family === 4);
  const addresses = (ipv4.length > 0 ? ipv4 : found).map(({ address }) => address);
  return [...new Set(addresses)].sort().map((address) => ({ hostname: '', host: address, port, clusterId: 0 }));
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
