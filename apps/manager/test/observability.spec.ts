import { readFileSync } from 'node:fs';
import { createLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

/** Names that dashboards and alerts of the original read of its manager, and by which labels. */
const ORIGINAL_METRICS: Readonly<Record<string, string>> = {
  dragonfly_manager_version: 'git_version="dfts-',
  dragonfly_manager_create_job_total: 'name="preheat"',
  dragonfly_manager_create_job_success_total: 'name="sync_peers"',
  dragonfly_manager_search_scheduler_cluster_total: 'version="1.5.10"',
  // No search has failed; see manager-metrics.spec.ts.
  '# TYPE dragonfly_manager_search_scheduler_cluster_failure_total': 'counter',
  manager_requests_total: 'code="200",method="GET",url="/api/v1/clusters/:id"',
  manager_request_duration_seconds_bucket: 'url="/api/v1/clusters/:id"',
  manager_request_size_bytes_sum: '',
  manager_response_size_bytes_count: '',
  process_resident_memory_bytes: '',
};

describe('what an operator sees of a manager', () => {
  let directory: TempDir;
  let manager: RunningManager;

  beforeAll(async () => {
    directory = tempDir('observability');
    const log = createLogger({ service: 'manager', file: directory.file('manager.log'), console: false });
    manager = await RunningManager.start(
      { type: 'sqlite', sqlite: { path: directory.file('manager.db') } },
      directory.file('home'),
      {},
      0,
      log,
    );
    await manager.signIn();
  });

  afterAll(async () => {
    await manager.stop();
    await stopEngines();
    directory.remove();
  });

  const status = async (path: string, port = manager.app.metricsPort): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`);

  it('metrics have the names of the original, with bounded labels', async () => {
    await manager.request('GET', '/api/v1/clusters/1?name=of-somebody');
    await manager.request('POST', '/api/v1/jobs', { type: 'sync_peers' });
    await manager.request('POST', '/api/v1/jobs', {
      type: 'preheat',
      args: { type: 'file', url: 'http://10.0.0.1/x' },
    });
    await new Promise<void>((resolve) => {
      manager.grpc.listSchedulers(
        { sourceType: 1, hostname: 'h', ip: '10.0.0.1', schedulerClusterId: 0n, version: '1.5.10', commit: 'c' },
        () => resolve(),
      );
    });
    const text = await (await status('/metrics')).text();
    for (const [name, labels] of Object.entries(ORIGINAL_METRICS)) {
      const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      expect([name, lines.some((line) => line.includes(labels))]).toEqual([name, true]);
    }
    expect(text).not.toContain('of-somebody');
    expect(text).not.toContain('/api/v1/clusters/1"');
  });

  it('health and readiness are told on the REST port and on the port of the metrics', async () => {
    for (const port of [manager.app.restPort, manager.app.metricsPort]) {
      expect((await status('/healthy', port)).status).toBe(200);
      const ready = await status('/readyz', port);
      expect(ready.status).toBe(200);
      expect(await ready.json()).toMatchObject({ service: 'manager', ready: true, conditions: expect.any(Object) });
    }
  });

  it('the access log has a line for each request of the API, without its query, and none for probes', async () => {
    await manager.request('GET', '/api/v1/users/1?token=of-somebody');
    await manager.request('GET', '/healthy');
    const lines = readFileSync(directory.file('manager.log'), 'utf8').trimEnd().split('\n');
    const requests = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === 'request');
    expect(requests).toContainEqual(
      expect.objectContaining({
        level: 'info',
        service: 'manager',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        method: 'GET',
        path: '/api/v1/users/1',
        status: 200,
        durationMs: expect.any(Number),
        actor: 'root',
        ip: '127.0.0.1',
      }),
    );
    expect(requests.some(({ path }) => path === '/healthy')).toBe(false);
    expect(lines.join()).not.toContain('of-somebody');
  });
});
