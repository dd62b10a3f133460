import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const CONFIG = { candidate_parent_limit: 3, filter_parent_limit: 15 };

describe.each(engines)('what a cluster says about sources on $name', ({ freshDatabase }) => {
  it('is kept and told back, on both kinds of cluster routes, and refused by field when it is out of range', async () => {
    const manager = await RunningManager.start(await freshDatabase());
    try {
      await manager.signIn();
      const source_lease = { readers: 2, origin_bandwidth_limit: 8_388_608, origin_concurrent_requests: 4 };
      const patched = await manager.request('PATCH', '/api/v1/scheduler-clusters/1', {
        config: { ...CONFIG, source_lease },
      });
      expect(patched).toMatchObject({ status: 200, body: { config: { ...CONFIG, source_lease } } });
      expect(await manager.request('GET', '/api/v1/clusters/1')).toMatchObject({
        body: { scheduler_cluster_config: { ...CONFIG, source_lease } },
      });
      for (const [field, wrong] of [
        ['readers', { readers: 17 }],
        ['origin_bandwidth_limit', { origin_bandwidth_limit: -1 }],
        ['origin_concurrent_requests', { origin_concurrent_requests: 'many' }],
      ] as const) {
        const refused = await manager.request('PATCH', '/api/v1/scheduler-clusters/1', {
          config: { ...CONFIG, source_lease: wrong },
        });
        expect(refused.status).toBe(422);
        // Fields are named in the words of the original's messages.
        expect(JSON.stringify(refused.body).replaceAll('_', '').toLowerCase()).toContain(field.replaceAll('_', ''));
      }
    } finally {
      await manager.stop();
    }
  });
});
