import { once } from 'node:events';
import { DfError } from '@dragonfly/errors';
import { ChildService, freePort, RedisServer, waitFor } from '@dragonfly/testkit';
import { FakeDaemon, sendContent } from './support/fake-daemon.js';
import { MachineryProducer } from './support/machinery-producer.js';
import { type ConfigChanges, TestCluster } from './support/test-cluster.js';

const QUEUE = 'scheduler_7_scheduler-under-test_127.0.0.1';
const DATABASES = { broker: 3, backend: 4 };
const URL = 'http://origin.example/a';

if (RedisServer.missingReason !== undefined) console.log(`skip: ${RedisServer.missingReason}`);
const describeWithRedis = RedisServer.missingReason === undefined ? describe : describe.skip;

describeWithRedis('jobs of the original manager over Redis', () => {
  let redis: RedisServer;
  let producer: MachineryProducer;
  let cluster: TestCluster;
  let seed: FakeDaemon;
  let peer: FakeDaemon;

  const startScheduler = async (changes: ConfigChanges = {}): Promise<void> => {
    cluster = await TestCluster.start({
      changes: {
        DATABASE__REDIS__ADDRS: `['${redis.address}']`,
        DATABASE__REDIS__BROKER_D_B: String(DATABASES.broker),
        DATABASE__REDIS__BACKEND_D_B: String(DATABASES.backend),
        MANAGER__SCHEDULER_CLUSTER_I_D: '7',
        JOB__LEARNING_TIME: '30s',
        ...changes,
      },
    });
    await cluster.host('seed', {
      type: 1,
      port: seed.port,
      downloadPort: seed.port,
      schedulerClusterId: 7n,
      network: { idc: 'dc1', location: 'eu|de' },
    });
    await cluster.host('peer', { port: peer.port, downloadPort: peer.port });
    await waitFor(() => cluster.app.readiness.ready, { what: 'a usable seed' });
  };

  beforeAll(async () => {
    const started = await RedisServer.startIfPresent();
    if (started === undefined) throw new Error('there is a redis-server');
    redis = started;
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    producer = new MachineryProducer(redis.port, DATABASES);
    await producer.broker.flushall();
    seed = await FakeDaemon.start();
    peer = await FakeDaemon.start();
  });
  afterEach(async () => {
    await cluster[Symbol.asyncDispose]();
    await seed[Symbol.asyncDispose]();
    await peer[Symbol.asyncDispose]();
    producer.close();
  });

  /** The request of a preheat as the manager writes it. */
  const preheat = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
    url: '',
    urls: [URL],
    pieceLength: null,
    tag: 'tag',
    filtered_query_params: 'ns&Expires',
    headers: { 'x-a': 'b' },
    application: 'app',
    priority: 0,
    scope: 'all_seed_peers',
    ips: null,
    percentage: null,
    count: null,
    concurrent_task_count: 8,
    concurrent_peer_count: 500,
    certificate_chain: null,
    insecure_skip_verify: false,
    timeout: 3_600_000_000_000,
    group_uuid: 'group_x',
    task_uuid: 'task_x',
    object_storage: null,
    hdfs: null,
    output_path: null,
    ...changes,
  });

  it('preheat: a message with several URLs is one job, told step by step', async () => {
    await startScheduler();
    const gate = new AbortController();
    seed.onDownload = async (download, stream) => {
      if (!gate.signal.aborted) await once(gate.signal, 'abort');
      await sendContent(stream, download.url);
    };
    const uuid = await producer.send(QUEUE, 'preheat', preheat({ url: `${URL}2`, pieceLength: 4_194_304 }));
    const started = await producer.until(uuid, 'STARTED');
    expect(started).toMatchObject({ TaskUUID: uuid, TaskName: 'preheat', Results: null, Error: '' });
    gate.abort();
    const ended = await producer.until(uuid, 'SUCCESS');
    expect(ended).toMatchObject({ CreatedAt: '2026-01-02T03:04:05.678901234Z', TTL: 86_400, Error: '' });
    expect(ended.Results).toEqual([{ Type: 'string', Value: expect.any(String) }]);
    expect(await producer.backend.ttl(uuid)).toBeGreaterThan(86_000);
    expect(await producer.result(uuid)).toEqual({
      success_tasks: [URL, `${URL}2`].map((url) => ({ url, hostname: 'seed', ip: '127.0.0.1' })),
      failure_tasks: [],
      scheduler_cluster_id: 7,
    });
    expect(seed.downloads[0]).toMatchObject({
      tag: 'tag',
      application: 'app',
      pieceLength: 4_194_304n,
      filteredQueryParams: ['ns', 'Expires'],
      requestHeader: { 'x-a': 'b' },
      timeout: { seconds: 3600n },
    });
    await waitFor(async () => (await producer.broker.keys('*')).length === 0, { what: 'empty lists' });
  });

  it('preheat: a success lists what failed; when all failed it is a failure with the reasons', async () => {
    await startScheduler();
    peer.onDownload = async () => Promise.reject(new DfError('no-space', 'disk is full'));
    const partly = await producer.send(QUEUE, 'preheat', preheat({ scope: 'all_peers' }));
    expect(await producer.result(partly)).toMatchObject({
      success_tasks: [{ hostname: 'seed' }],
      failure_tasks: [{ url: URL, hostname: 'peer', ip: '127.0.0.1', description: 'disk is full' }],
    });
    seed.onDownload = peer.onDownload;
    const wholly = await producer.send(QUEUE, 'preheat', preheat());
    expect(await producer.until(wholly, 'FAILURE')).toMatchObject({
      Results: null,
      Error: '1 of 1 downloads failed, the first: disk is full',
    });
  });

  it('get_task, delete_task and sync_peers are answered in the words of the original', async () => {
    await startScheduler();
    seed.held.set('task', true);
    const about = { task_id: 'task', timeout: 60_000_000_000, group_uuid: 'g', task_uuid: 't' };
    const get = await producer.send(QUEUE, 'get_task', { ...about, concurrent_peer_count: 10 });
    expect(await producer.result(get)).toEqual({
      peers: [
        {
          id: '127.0.0.1-seed',
          hostname: 'seed',
          ip: '127.0.0.1',
          host_type: 'super',
          created_at: '2023-11-14T22:13:20.000Z',
          updated_at: '2023-11-14T22:13:20.000Z',
          IsFinished: true,
        },
      ],
      scheduler_cluster_id: 7,
    });
    const remove = await producer.send(QUEUE, 'delete_task', about);
    expect(await producer.result(remove)).toEqual({
      success_tasks: [{ hostname: 'seed', ip: '127.0.0.1', host_type: 'super' }],
      failure_tasks: [],
      scheduler_cluster_id: 7,
    });
    expect(seed.deleted).toEqual(['task']);
    const sync = await producer.send(QUEUE, 'sync_peers', undefined);
    expect(await producer.result(sync)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          ID: '127.0.0.1-seed',
          Type: 1,
          Hostname: 'seed',
          IP: '127.0.0.1',
          Port: seed.port,
          DownloadPort: seed.port,
          SchedulerClusterID: 7,
          Network: expect.objectContaining({ IDC: 'dc1', Location: 'eu|de' }),
          Build: expect.objectContaining({ GitVersion: '1.5.10' }),
        }),
        expect.objectContaining({ ID: '127.0.0.1-peer', Type: 0 }),
      ]),
    );
  });

  it('the queues of all schedulers and of all services are served too', async () => {
    await startScheduler();
    for (const queue of ['schedulers', 'global']) {
      const uuid = await producer.send(queue, 'sync_peers', undefined);
      expect(await producer.result(uuid)).toHaveLength(2);
    }
  });

  it.each([
    ['an unknown name', 'dance', {}, 'job "dance" is not known to this scheduler'],
    ['no argument', 'preheat', undefined, 'the argument is no JSON'],
    ['no URL', 'preheat', { urls: [] }, 'url or urls is required'],
    ['a URL that is none', 'preheat', { urls: ['nonsense'], filtered_query_params: 'a' }, /^url: /],
    ['a wrong type', 'preheat', { urls: 'http://x' }, /^argument urls: /],
    ['no task id', 'get_task', {}, /^argument task_id: /],
    ['an empty task id', 'delete_task', { task_id: '' }, /^argument task_id: /],
  ])('a message with %s is answered with a failure', async (_, name, argument, error) => {
    await startScheduler();
    const uuid = await producer.send(QUEUE, name, argument);
    const record = await producer.until(uuid, 'FAILURE', 'SUCCESS');
    expect(record).toMatchObject({
      State: 'FAILURE',
      Error: typeof error === 'string' ? error : expect.stringMatching(error),
    });
  });

  it('what is no message at all is dropped, and the next one is served', async () => {
    await startScheduler();
    await producer.broker.rpush(QUEUE, 'hello', '{', '[]', '{"Name":"preheat"}', '{"UUID":""}', '\u0000');
    await producer.broker.rpush(QUEUE, JSON.stringify({ UUID: 'task_1', Name: 'preheat', Args: [{ Value: 5 }] }));
    expect(await producer.until('task_1', 'FAILURE')).toMatchObject({ Error: 'Args[0].Value must be JSON text' });
    const uuid = await producer.send(QUEUE, 'sync_peers', undefined);
    expect(await producer.result(uuid)).toHaveLength(2);
  });

  it('works on as many jobs at a time as configured', async () => {
    await startScheduler({ JOB__LOCAL_WORKER_NUM: '2' });
    const gate = new AbortController();
    seed.onDownload = async (download, stream) => {
      if (!gate.signal.aborted) await once(gate.signal, 'abort');
      await sendContent(stream, download.url);
    };
    const uuids = [];
    for (let i = 0; i < 5; i++) uuids.push(await producer.send(QUEUE, 'preheat', preheat()));
    await waitFor(() => seed.running === 2, { what: 'two jobs' });
    expect(await producer.broker.llen(QUEUE)).toBe(3);
    gate.abort();
    for (const uuid of uuids) await producer.result(uuid);
    expect(seed.mostRunning).toBe(2);
  });

  it('a job that a crash left unfinished is done after the restart', async () => {
    const { uuid, text } = await producer.prepare('preheat', preheat());
    await producer.broker.rpush(`${QUEUE}:working`, text);
    await startScheduler();
    expect(await producer.result(uuid)).toMatchObject({ scheduler_cluster_id: 7 });
    await waitFor(async () => (await producer.broker.llen(`${QUEUE}:working`)) === 0, { what: 'an empty list' });
  });

  it('a job that the scheduler dies of is given up at last', async () => {
    const { uuid, text } = await producer.prepare('preheat', preheat());
    await producer.broker.rpush(`${QUEUE}:working`, text);
    for (let restarts = 0; restarts < 3; restarts++) {
      seed.onDownload = (_, stream) => new Promise<void>((resolve) => stream.onCancel(() => resolve()));
      await startScheduler();
      await waitFor(() => seed.running === 1, { what: 'the download' });
      await cluster[Symbol.asyncDispose]();
      // As if it had not had the time to give it back.
      await producer.broker.rename(QUEUE, `${QUEUE}:working`);
    }
    await startScheduler();
    expect(await producer.until(uuid, 'FAILURE')).toMatchObject({
      Error: 'the scheduler has ended 3 times while it worked on this job',
    });
    await waitFor(async () => (await producer.broker.llen(`${QUEUE}:working`)) === 0, { what: 'an empty list' });
  }, 20_000);

  it('a scheduler that stops gives its unfinished jobs back', async () => {
    await startScheduler();
    seed.onDownload = (_, stream) => new Promise<void>((resolve) => stream.onCancel(() => resolve()));
    const uuid = await producer.send(QUEUE, 'preheat', preheat());
    await waitFor(() => seed.running === 1, { what: 'the download' });
    await cluster[Symbol.asyncDispose]();
    expect(await producer.broker.llen(QUEUE)).toBe(1);
    expect((await producer.record(uuid))?.State).toBe('STARTED');
    seed.onDownload = (download, stream) => sendContent(stream, download.url);
    await startScheduler();
    expect(await producer.result(uuid)).toMatchObject({ success_tasks: [{ url: URL }] });
  });

  it('Redis that comes after the scheduler, and goes away in between, costs no job', async () => {
    const port = await freePort();
    const startRedis = (): Promise<ChildService> =>
      ChildService.start({
        name: 'redis-server',
        command: 'redis-server',
        args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
        readyOutput: /Ready to accept connections/,
      });
    await startScheduler({ DATABASE__REDIS__ADDRS: `['127.0.0.1:${port}']` });
    let server = await startRedis();
    const away = new MachineryProducer(port, DATABASES);
    try {
      for (const url of [URL, `${URL}2`]) {
        const uuid = await away.send(QUEUE, 'preheat', preheat({ urls: [url] }));
        expect(await away.result(uuid)).toMatchObject({ success_tasks: [{ url }] });
        await server.stop();
        server = await startRedis();
      }
      expect(cluster.app.readiness.ready).toBe(true);
    } finally {
      away.close();
      await server.stop();
    }
  }, 60_000);

  it('connections that are lost are made again, and no job is', async () => {
    await startScheduler();
    const gate = new AbortController();
    seed.onDownload = async (download, stream) => {
      if (!gate.signal.aborted) await once(gate.signal, 'abort');
      await sendContent(stream, download.url);
    };
    const during = await producer.send(QUEUE, 'preheat', preheat());
    await waitFor(() => seed.running === 1, { what: 'the download' });
    await producer.broker.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    gate.abort();
    expect(await producer.result(during)).toMatchObject({ success_tasks: [{ url: URL }] });
    const after = await producer.send(QUEUE, 'preheat', preheat());
    expect(await producer.result(after)).toMatchObject({ success_tasks: [{ url: URL }] });
    expect(seed.downloads).toHaveLength(2);
  });
});
