import { TenantScope } from './tenant-scope.js';

const scope = new TenantScope({ clusterIds: [1, 2], applications: ['a', 'b'], userIds: [7] });
const notFound = expect.objectContaining({ code: 'not-found', message: 'record not found' }) as unknown;

function thrownBy(work: () => unknown): unknown {
  try {
    return { returned: work() };
  } catch (error) {
    return error;
  }
}

describe('what a caller may see', () => {
  it('is everything without a tenant', () => {
    const all = TenantScope.UNLIMITED;
    expect([all.isUnlimited, all.hasCluster(9), all.hasApplication(''), all.hasUser(9)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(all.clustersOf(undefined)).toEqual([]);
    expect(all.clustersOf([9])).toEqual([9]);
  });

  it('ends at the lists of the tenant; what lies outside is not there', () => {
    expect([scope.hasCluster(1), scope.hasCluster(3)]).toEqual([true, false]);
    expect([scope.hasApplication('a'), scope.hasApplication('c'), scope.hasApplication('')]).toEqual([
      true,
      false,
      false,
    ]);
    expect([scope.hasUser(7), scope.hasUser(1)]).toEqual([true, false]);
    expect(thrownBy(() => scope.requireCluster(3))).toEqual(notFound);
    expect(thrownBy(() => scope.requireApplication('c'))).toEqual(notFound);
    expect(thrownBy(() => scope.requireUser(1))).toEqual(notFound);
  });

  it('is the own clusters when a request names none, and never a cluster of others', () => {
    expect(scope.clustersOf([])).toEqual([1, 2]);
    expect(scope.clustersOf([2])).toEqual([2]);
    expect(thrownBy(() => scope.clustersOf([2, 3]))).toEqual(notFound);
    expect(thrownBy(() => new TenantScope({ clusterIds: [] }).clustersOf([]))).toEqual(notFound);
  });

  it('gets smaller by a token, never greater', () => {
    const token = scope.narrowedTo({ clusterIds: [2, 3], applications: ['*'] });
    expect([...(token.clusterIds ?? [])]).toEqual([2]);
    expect([...(token.applications ?? [])]).toEqual(['a', 'b']);
    expect([...(TenantScope.UNLIMITED.narrowedTo({ clusterIds: [3] }).clusterIds ?? [])]).toEqual([3]);
    expect(scope.narrowedTo({}).clusterIds).toEqual(scope.clusterIds);
  });

  it('has every application with a star in the list', () => {
    expect(new TenantScope({ applications: ['*'] }).hasApplication('')).toBe(true);
  });
});
