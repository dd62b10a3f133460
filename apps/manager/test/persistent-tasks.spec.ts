import { RecordStore } from '@dragonfly/kv';
import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const PREFIX = 'scheduler:scheduler-clusters:1:';
const PEERS = 'persistent-cache-peers-for-persistent-cache-task';
const PATH = '/api/v1/persistent-cache-tasks';

describe.each(engines)('persistent cache tasks on $name', ({ name: engine, freshDatabase }) => {
  let manager: RunningManager;

  beforeAll(async () => {
    manager = await RunningManager.start(await freshDatabase());
    await manager.signIn();
    const records = manager.app.get(RecordStore);
    // In the keys and fields of the original's schedulers.
    for (const [id, day] of Object.entries({ t1: '02', t2: '01' })) {
      await records.write(`${PREFIX}persistent-cache-tasks:${id}`, {
        id,
        state: 'Succeeded',
        persistent_replica_count: '2',
        content_length: '4194305',
        total_piece_count: '2',
        piece_length: '4194304',
        ttl: '3600000000000',
        tag: 'a',
        application: 'web',
        created_at: `2026-01-${day}T00:00:00.5Z`,
        updated_at: `2026-01-${day}T00:00:01Z`,
      });
    }
    await records.addMember(`${PREFIX}persistent-cache-tasks:t1:${PEERS}`, 'p1');
    await records.write(`${PREFIX}${PEERS}:p1`, {
      id: 'p1',
      task_id: 't1',
      host_id: 'h1',
      persistent: '1',
      state: 'Succeeded',
      finished_pieces: Buffer.from('00000000000000020000000000000003', 'hex'),
      block_parents: '["p0"]',
      cost: '1000',
      created_at: '2026-01-02T00:00:00Z',
      updated_at: '2026-01-02T00:00:00Z',
    });
    await records.write(`${PREFIX}persistent-cache-hosts:h1`, {
      id: 'h1',
      hostname: '10',
      port: '4000',
      disable_shared: '0',
      cpu_logical_count: '8',
      cpu_times_user: '1.5',
      network_idc: 'i',
      created_at: '2026-01-02T00:00:00Z',
    });
  });
  afterAll(() => manager.stop());

  it('are listed, oldest first, all of them with the Link of their number', async () => {
    const { status, body, headers } = await manager.request('GET', `${PATH}?scheduler_cluster_id=1&per_page=1`);
    expect(status).toBe(200);
    // Without Redis schedulers share nothing with the manager, and nothing is searched.
    const ids = engine === 'SQLite' ? [] : ['t2', 't1'];
    expect((body as { id: string }[]).map(({ id }) => id)).toEqual(ids);
    expect(headers.get('link')).toContain(`page=${ids.length}&per_page=1&scheduler_cluster_id=1>;rel=last`);
  });

  it('are shown with their peers and hosts', async () => {
    expect(await manager.request('GET', `${PATH}/t1?scheduler_cluster_id=1`)).toMatchObject({
      status: 200,
      body: {
        id: 't1',
        persistent_replica_count: 2,
        content_length: 4_194_305,
        ttl: 3_600_000_000_000,
        created_at: '2026-01-02T00:00:00.5Z',
        peers: [
          {
            id: 'p1',
            persistent: true,
            finished_pieces: 'AAAAAAAAAAIAAAAAAAAAAw==',
            block_parents: ['p0'],
            cost: 1_000,
            host: {
              id: 'h1',
              hostname: '10',
              port: 4_000,
              disable_shared: false,
              cpu: { logical_count: 8, times: { user: 1.5 } },
              network: { idc: 'i' },
            },
          },
        ],
      },
    });
  });

  it('are deleted', async () => {
    expect(await manager.request('DELETE', `${PATH}/t2?scheduler_cluster_id=1`)).toMatchObject({
      status: 200,
      body: '',
    });
    expect(await manager.request('GET', `${PATH}/t2?scheduler_cluster_id=1`)).toMatchObject({
      status: 404,
      body: { message: 'task not found' },
    });
  });

  it.each([
    ['no cluster', '', 422],
    ['a cluster that is no number', '?scheduler_cluster_id=x', 422],
    ['a cluster that is not there', '?scheduler_cluster_id=99', 404],
  ])('asked for with %s', async (_name, query, status) => {
    expect(await manager.request('GET', `${PATH}${query}`)).toMatchObject({ status });
    expect(await manager.request('GET', `${PATH}/t1${query}`)).toMatchObject({ status });
    expect(await manager.request('DELETE', `${PATH}/t1${query}`)).toMatchObject({ status });
  });
});
