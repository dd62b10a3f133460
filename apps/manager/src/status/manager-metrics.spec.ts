import { ManagerMetrics } from './manager-metrics.js';

const search = (metrics: ManagerMetrics, version: string, fails = false): Promise<unknown> =>
  metrics.countSearch({ version, commit: '' }, () => (fails ? Promise.reject(new Error('no')) : Promise.resolve(1)));

describe('metrics', () => {
  it('counts searches and their failures by the version of the peer', async () => {
    const metrics = new ManagerMetrics('dfts-0');
    await search(metrics, '1.5.10');
    await expect(search(metrics, '1.5.10', true)).rejects.toThrow('no');
    const text = await metrics.registry.metrics();
    expect(text).toContain('dragonfly_manager_search_scheduler_cluster_total{version="1.5.10",commit=""} 2');
    expect(text).toContain('dragonfly_manager_search_scheduler_cluster_failure_total{version="1.5.10",commit=""} 1');
  });

  it('has a bounded number of versions, whatever peers say', async () => {
    const metrics = new ManagerMetrics('dfts-0');
    for (let n = 0; n < 300; n += 1) {
      await search(metrics, `v${n}`);
    }
    await search(metrics, 'x'.repeat(1_000));
    const lines = (await metrics.registry.metrics()).match(/^dragonfly_manager_search_scheduler_cluster_total\{/gm);
    expect(lines).toHaveLength(101);
  });
});
