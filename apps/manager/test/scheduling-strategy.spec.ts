import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const CONFIG = { candidate_parent_limit: 3, filter_parent_limit: 15 };

describe.each(engines)('the scheduling strategy of a cluster on $name', ({ freshDatabase }) => {
  it('is kept and told back, on both kinds of cluster routes, and refused when nobody knows it (seed 002-32)', async () => {
    const manager = await RunningManager.start(await freshDatabase());
    try {
      await manager.signIn();
      const scheduling_strategy = { algorithm: 'default', split: [{ name: 'adaptive', percent: 50 }] };
      const patched = await manager.request('PATCH', '/api/v1/scheduler-clusters/1', {
        config: { ...CONFIG, scheduling_strategy },
      });
      expect(patched).toMatchObject({ status: 200, body: { config: { ...CONFIG, scheduling_strategy } } });
      expect(await manager.request('GET', '/api/v1/clusters/1')).toMatchObject({
        body: { scheduler_cluster_config: { ...CONFIG, scheduling_strategy } },
      });
      for (const wrong of [{ algorithm: 'ml' }, { split: [{ name: 'random', percent: 101 }] }, 'adaptive']) {
        const refused = await manager.request('PATCH', '/api/v1/scheduler-clusters/1', {
          config: { ...CONFIG, scheduling_strategy: wrong },
        });
        expect(refused.status).toBe(422);
      }
    } finally {
      await manager.stop();
    }
  });
});
