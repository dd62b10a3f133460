import { Database, PeerEntity } from '@dragonfly/persistence';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { engines, stopEngines } from './engines.js';
import { FakeOriginalScheduler } from './fake-scheduler.js';
import { endOf, managerWith, type SeenJob } from './job-setup.js';
import type { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const FILE = 'http://origin.example/file.bin';

describe('a scheduler of the original', () => {
  let manager: RunningManager;
  let scheduler: FakeOriginalScheduler;

  beforeAll(async () => {
    const engine = engines[0];
    scheduler = await FakeOriginalScheduler.start();
    manager = await managerWith(scheduler, await (engine?.freshDatabase() ?? {}));
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
  });
  const run = async (body: object): Promise<SeenJob> => {
    const answer = await manager.request('POST', '/api/v1/jobs', body);
    expect(answer).toMatchObject({ status: 200 });
    return endOf(manager, (answer.body as SeenJob).id);
  };

  it('preheats a file in the background, and is asked until it is there', async () => {
    const job = await run({ type: 'preheat', args: { type: 'file', url: FILE, application: 'app' } });
    expect(job).toMatchObject({
      state: 'SUCCESS',
      result: { job_states: [{ results: [{ success_tasks: [{ url: FILE, hostname: 'go-seed', ip: '127.0.0.1' }] }] }] },
    });
    expect(scheduler.preheats).toMatchObject([{ url: FILE, application: 'app', scope: 'single_seed_peer' }]);
  });

  it('has a file with a tag fetched by its hosts, since it forgets tags', async () => {
    const job = await run({ type: 'preheat', args: { type: 'file', url: FILE, tag: 'v1', scope: 'all_seed_peers' } });
    expect(job.state).toBe('SUCCESS');
    expect(scheduler.downloads).toMatchObject([{ url: FILE, tag: 'v1' }]);
    expect(scheduler.preheats).toHaveLength(1);
  });

  it('preheats an image by its own means', async () => {
    const registry = await FakeRegistry.start({ auth: 'open' });
    registry.putImage('app', [Buffer.from('x')], { tag: '1' });
    const url = registry.manifestUrl('app', '1');
    const origin = new URL(url).origin;
    const manifest = (await (await fetch(url)).json()) as { config: { digest: string }; layers: { digest: string }[] };
    scheduler.layers = [manifest.config, ...manifest.layers].map(({ digest }) => `${origin}/v2/app/blobs/${digest}`);
    const job = await run({ type: 'preheat', args: { type: 'image', url } });
    expect(job).toMatchObject({ state: 'SUCCESS' });
    expect(scheduler.images).toMatchObject([{ url, scope: 'single_seed_peer' }]);
    await registry.close();
  });

  it('fails when the time is over, with what is missing', async () => {
    scheduler.questionsUntilDone = Infinity;
    const job = await run({ type: 'preheat', args: { type: 'file', url: FILE, timeout: 700_000_000 } });
    expect(job).toMatchObject({
      state: 'FAILURE',
      result: {
        job_states: [
          {
            error: expect.stringContaining('timed out'),
            results: [{ failure_tasks: [{ url: FILE, description: 'not there when the waiting ended' }] }],
          },
        ],
      },
    });
  });

  it('is asked for its hosts, which are asked for a task, and delete it', async () => {
    scheduler.held.add('task-1');
    expect(await run({ type: 'get_task', args: { task_id: 'task-1' } })).toMatchObject({
      result: {
        job_states: [{ results: [{ peers: [{ hostname: 'go-seed', host_type: 'super', IsFinished: true }] }] }],
      },
    });
    expect(await run({ type: 'delete_task', args: { task_id: 'task-1' } })).toMatchObject({
      result: { job_states: [{ results: [{ success_tasks: [{ hostname: 'go-seed' }], failure_tasks: [] }] }] },
    });
    expect(scheduler.held.size).toBe(0);
    expect(await manager.request('POST', '/api/v1/jobs', { type: 'sync_peers' })).toMatchObject({ body: 'OK' });
    const peers = await manager.app.get(Database).manager.find(PeerEntity);
    expect(peers).toMatchObject([{ hostName: 'go-seed', type: 'super' }]);
  });
});
