import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BandwidthEntity, Database, JobTriggerEntity } from '@dragonfly/persistence';
import { extRecords } from '@dragonfly/proto';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { waitFor } from '@dragonfly/testkit';
import { MeteringCollector } from '../src/metering/metering-collector.js';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler } from './fake-scheduler.js';
import { endOf, managerWith, type SeenJob } from './job-setup.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

/** A server of one handler at a free port. */
async function serve(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ url: string; close: () => void }> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Groups that the scheduler of the metering test has. */
const KEYS: Partial<Record<extRecords.SummaryGroup, string[]>> = {
  [extRecords.SummaryGroup.SUMMARY_GROUP_APPLICATION]: ['app-a', 'app-b'],
  [extRecords.SummaryGroup.SUMMARY_GROUP_HOST]: ['host-1'],
};

describe.each(engines)('what starts jobs by itself, on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let scheduler: FakeScheduler;
  let registry: FakeRegistry;
  let token: string;

  const request = (method: string, path: string, body?: unknown): Promise<Answer> =>
    manager.request(method, path, body);
  const withToken = (
    method: string,
    path: string,
    body?: unknown,
    authorization = `Bearer ${token}`,
  ): Promise<Answer> => manager.request(method, path, body, { authorization });
  const preheatedUrls = (): string[] =>
    scheduler.runs.flatMap(({ job }) => (job?.$case === 'preheat' ? job.value.downloads.map(({ url }) => url) : []));

  beforeAll(async () => {
    scheduler = await FakeScheduler.start();
    registry = await FakeRegistry.start({ auth: 'bearer', username: 'bob', password: 'hunter2-secret' });
    manager = await managerWith(scheduler, await freshDatabase());
    const made = await request('POST', '/api/v1/personal-access-tokens', {
      name: 'ci',
      scopes: ['job'],
      expired_at: '2037-01-01T00:00:00Z',
      user_id: 1,
    });
    token = (made.body as { token: string }).token;
    expect(made).toMatchObject({ status: 200, body: { token: expect.any(String) } });
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
    await registry.close();
  });
  beforeEach(() => scheduler.forget());

  it('a schedule preheats whenever its time comes, until it is switched off (seed 002-8)', async () => {
    const made = await request('POST', '/api/v1/jobs/triggers', {
      name: 'each-second',
      kind: 'schedule',
      cron: '* * * * * *',
      job: {
        type: 'preheat',
        args: { type: 'file', url: 'http://origin.example/nightly', headers: { Token: 'hidden' } },
      },
    });
    expect(made).toMatchObject({
      status: 200,
      body: { kind: 'schedule', enabled: true, cron: '* * * * * *', job: { args: { headers: { Token: '******' } } } },
    });
    const { id } = made.body as { id: number };
    await waitFor(() => scheduler.runs.length >= 2, { what: 'two runs of the schedule' });
    expect(scheduler.runs[0]?.job?.value).toMatchObject({ downloads: [{ requestHeader: { Token: 'hidden' } }] });
    expect(await request('PATCH', `/api/v1/jobs/triggers/${id}`, { enabled: false })).toMatchObject({
      body: { enabled: false },
    });
    const seen = await request('GET', `/api/v1/jobs/triggers/${id}`);
    expect(seen.body).toMatchObject({ last_error: '', last_job_id: expect.any(Number) });
    expect(await request('POST', `/api/v1/jobs/triggers/${id}/run`)).toMatchObject({ status: 200 });
    expect(await request('DELETE', `/api/v1/jobs/triggers/${id}`)).toMatchObject({ status: 200, body: '' });
    expect(await request('GET', `/api/v1/jobs/triggers/${id}`)).toMatchObject({ status: 404 });
  });

  it.each<[string, object, string]>([
    ['a wrong cron text', { kind: 'schedule', cron: 'x' }, 'cron'],
    ['a schedule without a time', { kind: 'schedule' }, 'cron'],
    ['a watch of nothing', { kind: 'watch' }, 'watch'],
    ['an unknown kind', { kind: 'moon' }, 'Kind'],
    [
      'a password in the place that is watched',
      { kind: 'watch', watch: { type: 'object', url: 'https://bob:hunter2-secret@files.example/' } },
      'watch.url',
    ],
  ])('refuses %s with the field', async (_name, over, field) => {
    const job = { type: 'preheat', args: { type: 'file', url: 'http://origin.example/x' } };
    expect(await request('POST', '/api/v1/jobs/triggers', { name: 'bad', job, ...over })).toMatchObject({
      status: 422,
      body: { errors: expect.stringContaining(field) },
    });
  });

  it('shows no signature of the place that is watched', async () => {
    const made = await request('POST', '/api/v1/jobs/triggers', {
      name: 'signed',
      kind: 'watch',
      enabled: false,
      watch: { type: 'object', url: 'https://files.example/x?X-Amz-Signature=hunter2-secret' },
      job: { type: 'preheat', args: { type: 'file' } },
    });
    expect(made.status).toBe(200);
    const { id } = made.body as { id: number };
    const shown = await request('GET', `/api/v1/jobs/triggers/${id}`);
    expect(JSON.stringify([made.body, shown.body])).not.toContain('hunter2-secret');
    expect(await request('DELETE', `/api/v1/jobs/triggers/${id}`)).toMatchObject({ status: 200 });
  });

  it('a watch preheats a new tag of a registry, and a tag that names another image (seed 002-8)', async () => {
    registry.putImage('team/app', [Buffer.from('one')], { tag: 'v1' });
    registry.putImage('team/app', [Buffer.from('other')], { tag: 'nightly' });
    const tags = ['v1', 'nightly'];
    registry.override('/v2/team/app/tags/list', (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ name: 'team/app', tags }));
    });
    const { origin } = new URL(registry.manifestUrl('team/app', 'v1'));
    const made = await request('POST', '/api/v1/jobs/triggers', {
      name: 'app',
      kind: 'watch',
      interval_seconds: 86_400,
      watch: { type: 'registry', url: `${origin}/v2/team/app`, tags: ['v*'] },
      job: { type: 'preheat', args: { type: 'image', username: 'bob', password: 'hunter2-secret' } },
    });
    expect(made.status).toBe(200);
    const { id } = made.body as { id: number };
    const look = (): Promise<Answer> => request('POST', `/api/v1/jobs/triggers/${id}/run`);
    expect(await look()).toMatchObject({ status: 200, body: { last_error: '', last_job_id: 0 } });
    registry.putImage('team/app', [Buffer.from('two')], { tag: 'v2' });
    tags.push('v2');
    const second = (await look()).body as { last_job_id: number; last_error: string };
    expect(second).toMatchObject({ last_error: '', last_job_id: expect.any(Number) });
    expect(await endOf(manager, second.last_job_id)).toMatchObject({
      state: 'SUCCESS',
      args: { url: `${origin}/v2/team/app/manifests/v2` },
    });
    registry.putImage('team/app', [Buffer.from('one again')], { tag: 'v1' });
    const third = (await look()).body as { last_job_id: number };
    expect(await endOf(manager, third.last_job_id)).toMatchObject({
      args: { url: `${origin}/v2/team/app/manifests/v1` },
    });
    expect((await look()).body).toMatchObject({ last_job_id: third.last_job_id });
    expect(JSON.stringify(await manager.app.get(Database).manager.find(JobTriggerEntity))).not.toContain('hunter2');
  });

  it('a watch of a directory preheats what is new, and drops what is old before it fetches what changed', async () => {
    const files = new Map([
      ['a.bin', '1'],
      ['sub/b.bin', '1'],
    ]);
    const index = (names: string[]): string =>
      `<a href="../">up</a>${names.map((n) => `<a href="${n}">${n}</a>`).join('')}`;
    const origin = await serve((incoming, response) => {
      const path = (incoming.url ?? '').slice(1);
      if (path === '' || path === 'sub/') {
        const names = [...files.keys()].filter((name) => name.startsWith(path)).map((name) => name.slice(path.length));
        const here = [...new Set(names.map((name) => name.replace(/\/.*/, '/')))];
        response.writeHead(200, { 'content-type': 'text/html' }).end(index(here));
      } else {
        response.writeHead(files.has(path) ? 200 : 404, { etag: `"${files.get(path)}"` }).end();
      }
    });
    const made = await request('POST', '/api/v1/jobs/triggers', {
      name: 'files',
      kind: 'watch',
      interval_seconds: 86_400,
      watch: { type: 'object', url: `${origin.url}/` },
      job: { type: 'preheat', args: { type: 'file', recursive: true } },
    });
    const { id } = made.body as { id: number };
    const look = (): Promise<Answer> => request('POST', `/api/v1/jobs/triggers/${id}/run`);
    expect((await look()).body).toMatchObject({ last_error: '', last_job_id: 0 });
    files.set('sub/c.bin', '1');
    files.set('a.bin', '2');
    const second = (await look()).body as { last_job_id: number; last_error: string };
    expect(second.last_error).toBe('');
    await endOf(manager, second.last_job_id);
    await waitFor(() => preheatedUrls().length === 2, { what: 'both preheats' });
    expect(preheatedUrls().sort()).toEqual([`${origin.url}/a.bin`, `${origin.url}/sub/c.bin`]);
    const kinds = scheduler.runs.map(({ job }) => job?.$case);
    expect(kinds.filter((kind) => kind === 'deleteTask')).toHaveLength(1);
    expect(kinds.indexOf('deleteTask')).toBeLessThan(kinds.lastIndexOf('preheat'));
    origin.close();
  });

  describe('pushes that a registry tells of (seed 002-21)', () => {
    let origin: string;

    beforeAll(async () => {
      registry.putImage('library/hello', [Buffer.from('hello')], { tag: '1.0' });
      origin = new URL(registry.manifestUrl('library/hello', '1.0')).origin;
      const made = await request('POST', '/api/v1/jobs/triggers', {
        name: 'hub',
        kind: 'push',
        watch: { type: 'registry', url: origin, repositories: ['library/*'], tags: ['1.*'] },
        job: { type: 'preheat', args: { type: 'image', username: 'bob', password: 'hunter2-secret' } },
      });
      expect(made.status).toBe(200);
    });

    /** As CNCF Distribution sends it. */
    const envelope = (over: object = {}): object => ({
      events: [
        {
          id: '320678d8-ca14-430f-8bb6-4ca139cd83f7',
          timestamp: '2026-03-09T14:44:26.402973972-08:00',
          action: 'push',
          target: {
            mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
            size: 708,
            digest: 'sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf',
            length: 708,
            repository: 'library/hello',
            url: 'http://elsewhere.example:5000/v2/library/hello/manifests/sha256:fea8895f',
            tag: '1.0',
            ...over,
          },
          request: { id: '6df24a34', addr: '192.168.64.11:42961', host: 'elsewhere.example:5000', method: 'PUT' },
          actor: {},
          source: { addr: 'xtal.local:5000', instanceID: 'a53db899' },
        },
        { action: 'push', target: { mediaType: 'application/octet-stream', repository: 'library/hello' } },
        { action: 'pull', target: { mediaType: 'application/vnd.docker.distribution.manifest.v2+json' } },
      ],
    });
    /** As Harbor sends it in its default form. */
    const harbor = (type = 'PUSH_ARTIFACT'): object => ({
      type,
      occur_at: 1_680_501_893,
      operator: 'harbor-jobservice',
      event_data: {
        resources: [
          {
            digest: 'sha256:4350a5a4',
            tag: '1.0',
            resource_url: 'harbor.dev/library/hello:1.0',
          },
        ],
        repository: {
          date_created: 1_680_000_000,
          name: 'hello',
          namespace: 'library',
          repo_full_name: 'library/hello',
          repo_type: 'public',
        },
      },
    });

    it.each<[string, () => object, number]>([
      ['a Docker registry', () => envelope(), 1],
      ['Harbor', () => harbor(), 1],
      [
        'Harbor, as CloudEvents',
        () => ({
          specversion: '1.0',
          type: 'harbor.artifact.pushed',
          data: (harbor() as { event_data: object }).event_data,
        }),
        1,
      ],
      ['a push of another tag', () => envelope({ tag: 'dev' }), 0],
      ['a push of another repository', () => envelope({ repository: 'other/x' }), 0],
      ['a part of a multi-platform image', () => envelope({ tag: undefined }), 0],
      ['a pull, from Harbor', () => harbor('PULL_ARTIFACT'), 0],
    ])('%s', async (_name, body, jobs) => {
      const answer = await withToken('POST', '/oapi/v1/jobs/hooks/hub', body());
      expect(answer.status).toBe(200);
      const { job_ids: ids } = answer.body as { job_ids: number[] };
      expect(ids).toHaveLength(jobs);
      for (const id of ids) {
        expect(await endOf(manager, id)).toMatchObject({
          state: 'SUCCESS',
          args: { url: `${origin}/v2/library/hello/manifests/1.0`, password: '******' },
        });
      }
    });

    it('takes no notification without a token, for an unknown name, or of another form', async () => {
      const path = '/oapi/v1/jobs/hooks/hub';
      expect(await withToken('POST', path, envelope(), 'Bearer nonsense')).toMatchObject({ status: 401 });
      expect(await withToken('POST', '/oapi/v1/jobs/hooks/none', envelope())).toMatchObject({ status: 404 });
      expect(await withToken('POST', path, { hello: 1 })).toMatchObject({ status: 422 });
    });
  });

  describe("Harbor's preheat provider (seed 002-21)", () => {
    let harbor: FakeRegistry;

    beforeAll(async () => {
      harbor = await FakeRegistry.start({ auth: 'basic', username: 'bob', password: 'hunter2-secret' });
    });
    afterAll(() => harbor.close());

    it('of today: health, job, and its state by the id', async () => {
      expect(await request('GET', '/healthy')).toMatchObject({ status: 200 });
      harbor.putImage('library/busybox', [Buffer.from('bb')], { tag: 'latest' });
      // The fields that Harbor sends, with its zero values.
      const made = await withToken('POST', '/oapi/v1/jobs', {
        type: 'preheat',
        args: {
          type: 'image',
          url: harbor.manifestUrl('library/busybox', 'latest'),
          tag: '',
          filtered_query_params: '',
          headers: { Authorization: `Basic ${Buffer.from('bob:hunter2-secret').toString('base64')}` },
          scope: 'single_peer',
          concurrent_count: 0,
          timeout: 0,
        },
        scheduler_cluster_ids: null,
      });
      expect(made).toMatchObject({
        status: 200,
        body: { id: expect.any(Number), state: 'PENDING', args: { headers: { Authorization: '******' } } },
      });
      const { id } = made.body as SeenJob;
      await endOf(manager, id);
      expect(await withToken('GET', `/oapi/v1/jobs/${id}`)).toMatchObject({
        status: 200,
        body: {
          id,
          state: 'SUCCESS',
          result: { job_states: [{ error: '', results: [{ success_tasks: expect.any(Array) }] }] },
        },
      });
    });

    it('of before: ping, preheat and its status, with a token as bearer or as password', async () => {
      expect(await withToken('GET', '/_ping', undefined, '')).toMatchObject({ status: 200, body: 'OK' });
      harbor.putImage('library/old', [Buffer.from('old')], { tag: '1' });
      const preheat = {
        type: 'image',
        url: harbor.manifestUrl('library/old', '1'),
        headers: { Authorization: `Basic ${Buffer.from('bob:hunter2-secret').toString('base64')}` },
        image: 'library/old',
        tag: '1',
        digest: 'sha256:f3c97e3b',
      };
      const basic = `Basic ${Buffer.from(`anybody:${token}`).toString('base64')}`;
      for (const [path, authorization] of [
        ['/preheats', `Bearer ${token}`],
        ['/preheats', basic],
      ] as const) {
        const made = await withToken('POST', path, preheat, authorization);
        expect(made).toMatchObject({ status: 200, body: { ID: expect.stringMatching(/^\d+$/) } });
        const { ID } = made.body as { ID: string };
        await endOf(manager, Number(ID));
        expect(await withToken('GET', `${path}/${ID}`, undefined, authorization)).toMatchObject({
          status: 200,
          body: { id: ID, status: 'SUCCESS', startTime: expect.any(String), finishTime: expect.any(String) },
        });
      }
      expect(await withToken('POST', '/preheats', preheat, 'Bearer nonsense')).toMatchObject({ status: 401 });
      expect(await withToken('GET', '/preheats/999999')).toMatchObject({ status: 404 });
    });
  });

  it('preheats the files of a Hugging Face repository and of a JSON index', async () => {
    const origin = await serve((incoming, response) => {
      const url = new URL(incoming.url ?? '', 'http://x');
      response.setHeader('content-type', 'application/json');
      if (url.pathname === '/dir/') {
        response.end(
          JSON.stringify([
            { name: 'a b.bin', type: 'file' },
            { name: 'sub', type: 'directory' },
          ]),
        );
      } else {
        response.writeHead(404).end('{}');
      }
    });
    const made = await request('POST', '/api/v1/jobs', {
      type: 'preheat',
      args: { type: 'file', url: `${origin.url}/dir/` },
    });
    expect(made.status).toBe(200);
    await endOf(manager, (made.body as SeenJob).id);
    expect(preheatedUrls()).toEqual([`${origin.url}/dir/a%20b.bin`]);
    expect(
      await request('POST', '/api/v1/jobs', { type: 'preheat', args: { type: 'file', url: 'hf://nonsense' } }),
    ).toMatchObject({ status: 422, body: { errors: expect.stringContaining('hf URL') } });
    origin.close();
  });

  it('keeps what was transferred, and answers it as series (seed 002-23)', async () => {
    const nowS = Math.floor(Date.now() / 1_000);
    const bucketS = nowS - (nowS % 300) - 300;
    scheduler.answerSummaries = ({ group, filter }) => {
      const keys = KEYS[group] ?? [''];
      const all = keys.flatMap((key, index) =>
        [bucketS, bucketS + 300].map((beginsAt) => ({
          beginsAt: new Date(beginsAt * 1_000),
          key,
          downloads: 2n,
          failures: BigInt(index),
          bytesFromSource: 10n,
          bytesFromPeers: BigInt(100 * (index + 1)),
          bytesFromSeeds: 5n,
          bytesAcrossIdcs: 1n,
        })),
      );
      return all.filter(({ beginsAt }) => beginsAt >= (filter?.since ?? new Date(0)));
    };
    const collector = manager.app.get(MeteringCollector);
    await collector.collect();
    await collector.collect();
    const read = (query: string): Promise<Answer> => request('GET', `/api/v1/clusters/1/bandwidth?${query}`);
    expect(await read('grouping=application')).toMatchObject({
      status: 200,
      body: {
        scheduler_cluster_id: 1,
        grouping: 'application',
        resolution_seconds: 300,
        series: [
          {
            name: 'app-b',
            total: { downloads: 4, failures: 2, bytes_from_peers: 400, bytes_from_source: 20 },
            points: [{ at: expect.stringMatching(/Z$/), bytes_from_peers: 200 }, { bytes_from_peers: 200 }],
          },
          { name: 'app-a', total: { bytes_from_peers: 200 } },
        ],
      },
    });
    expect((await read('')).body).toMatchObject({
      grouping: 'cluster',
      series: [{ name: '', total: { downloads: 4 } }],
    });
    expect((await read('grouping=peer&name=host-1')).body).toMatchObject({ series: [{ name: 'host-1' }] });
    const day = new Date((nowS - 20 * 86_400) * 1_000).toISOString();
    expect((await read(`grouping=application&from=${day}`)).body).toMatchObject({
      resolution_seconds: 3_600,
      series: [{ name: 'app-b', total: { bytes_from_peers: 400 } }, {}],
    });
    expect(await read('from=nonsense')).toMatchObject({ status: 422 });
    expect(await read(`resolution=300&from=${day}`)).toMatchObject({ status: 422 });
    expect(await request('GET', '/api/v1/clusters/99/bandwidth')).toMatchObject({ status: 404 });
    const rows = await manager.app.get(Database).manager.countBy(BandwidthEntity, { resolutionS: 300 });
    expect(rows).toBe(8);
  });
});
