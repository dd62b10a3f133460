import type { SchedulerClusterEntity } from '@dragonfly/persistence';
import { rankClusters, scoreCluster, type SearchClient } from './searcher.js';

const client = (over: Partial<SearchClient> = {}): SearchClient => ({
  hostname: 'host-1.example.com',
  ip: '10.1.2.3',
  idc: 'idc-1',
  location: 'asia|china|hangzhou',
  ...over,
});
const cluster = (
  scopes: Record<string, unknown>,
  isDefault = false,
): Pick<SchedulerClusterEntity, 'scopes' | 'isDefault'> => ({
  scopes,
  isDefault,
});

describe('score of a cluster', () => {
  it.each<[string, Record<string, unknown>, Partial<SearchClient>, number]>([
    ['no scopes', {}, {}, 0],
    ['CIDR that holds the client', { cidrs: ['192.168.0.0/16', '10.0.0.0/8'] }, {}, 0.3],
    ['CIDR elsewhere', { cidrs: ['192.168.0.0/16'] }, {}, 0],
    ['CIDR of a single address', { cidrs: ['10.1.2.3/32'] }, {}, 0.3],
    ['IPv6 CIDR', { cidrs: ['fd00::/8'] }, { ip: 'fd12::1' }, 0.3],
    ['IPv4 client written as IPv6', { cidrs: ['10.0.0.0/8'] }, { ip: '::ffff:10.9.9.9' }, 0.3],
    ['IPv4 CIDR and IPv6 client', { cidrs: ['0.0.0.0/0'] }, { ip: 'fd12::1' }, 0],
    ['malformed CIDRs among good ones', { cidrs: ['x', '10.0.0.0', '10.0.0.0/33', 7, '10.0.0.0/8'] }, {}, 0.3],
    ['client without a usable address', { cidrs: ['0.0.0.0/0'] }, { ip: '' }, 0],
    ['host name expression', { hostnames: ['^nope$', '^host-[0-9]+'] }, {}, 0.3],
    ['host name expression that is not anchored', { hostnames: ['example'] }, {}, 0.3],
    ['host name expression that does not match', { hostnames: ['^example'] }, {}, 0],
    ['broken host name expression among good ones', { hostnames: ['(', 'host'] }, {}, 0.3],
    ['idc', { idc: 'idc-1' }, {}, 0.25],
    ['idc in other case', { idc: 'IDC-1' }, {}, 0.25],
    ['idc as one of several', { idc: 'idc-0|idc-1|idc-2' }, {}, 0.25],
    ['idc as a part of a word', { idc: 'idc-11' }, {}, 0],
    ['client without idc', { idc: 'idc-1' }, { idc: '' }, 0],
    ['same location', { location: 'asia|china|hangzhou' }, {}, 0.14],
    ['same location in other case', { location: 'Asia|China|Hangzhou' }, {}, 0.14],
    ['two leading elements of the location', { location: 'asia|china|beijing' }, {}, 0.14 * 0.4],
    ['a later element alone', { location: 'europe|china|hangzhou' }, {}, 0],
    ['no more than five elements', { location: 'a|b|c|d|e|f|x' }, { location: 'a|b|c|d|e|f|y' }, 0.14],
    ['a shorter scope', { location: 'asia' }, {}, 0.14 * 0.2],
    [
      'everything',
      { cidrs: ['10.0.0.0/8'], hostnames: ['host'], idc: 'idc-1', location: 'asia|china|hangzhou' },
      {},
      0.99,
    ],
  ])('%s', (_name, scopes, over, expected) => {
    expect(scoreCluster(cluster(scopes), client(over)).total).toBeCloseTo(expected, 10);
  });

  it('adds a hundredth for the default cluster', () => {
    expect(scoreCluster(cluster({}, true), client()).total).toBeCloseTo(0.01, 10);
  });
});

describe('order of clusters', () => {
  const node = (
    id: number,
    scopes: Record<string, unknown>,
    isDefault = false,
  ): { cluster: SchedulerClusterEntity } => ({
    cluster: { ...cluster(scopes, isDefault), id } as SchedulerClusterEntity,
  });
  const order = (nodes: { cluster: SchedulerClusterEntity }[]): number[] =>
    rankClusters(nodes, client()).map((one) => one.cluster.id);

  it('puts the best fit first: CIDR and host name before idc before location before default', () => {
    const nodes = [
      node(1, {}),
      node(2, {}, true),
      node(3, { location: 'asia|china|hangzhou' }),
      node(4, { idc: 'idc-1' }),
      node(5, { cidrs: ['10.0.0.0/8'] }),
      node(6, { cidrs: ['10.0.0.0/8'], hostnames: ['host'] }),
    ];
    expect(order(nodes)).toEqual([6, 5, 4, 3, 2, 1]);
  });

  it('keeps the order of clusters that fit alike', () => {
    expect(order([node(3, {}), node(1, {}), node(2, {})])).toEqual([3, 1, 2]);
  });
});
