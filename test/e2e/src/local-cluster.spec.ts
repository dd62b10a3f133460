import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { Content, CountingOrigin, runCommand, sha256OfFile, waitFor } from '@dragonfly/testkit';
import { DFGET, LocalCluster, type Download, type PortSetting } from './local-cluster.js';
import { ManagerRest } from './manager-rest.js';
import { isAlive, killAndWait } from './processes.js';

const MIB = 1024 * 1024;
const PEERS = ['peer', 'peer-2', 'peer-3'];

/** Starting and building on a busy machine. */
const START_TIMEOUT_MS = 240_000;
const TEST_TIMEOUT_MS = 60_000;

async function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

function expectSuccess(download: Download): void {
  expect({ status: download.status, output: download.stdout + download.stderr }).toEqual({
    status: 0,
    output: expect.any(String) as string,
  });
}

describe('a local cluster that run.sh has started', () => {
  let cluster: LocalCluster;
  let origin: CountingOrigin;
  let started: { stdout: string };

  beforeAll(async () => {
    origin = await CountingOrigin.start();
    cluster = await LocalCluster.create();
    started = await cluster.up('--peers', String(PEERS.length));
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    try {
      await cluster.destroy();
    } finally {
      await origin.close();
    }
  }, TEST_TIMEOUT_MS);

  it('tells how far it is, shows a download and ends with a table (seed 001-2 in local mode)', () => {
    expect(started.stdout).toMatch(/^wait for all service ready: \d\/6,0 times check$/m);
    expect(started.stdout).toMatch(/^wait for all service ready: 6\/6,\d+ times check$/m);
    expect(started.stdout).toMatch(/^download success: true cost: \d+ ms/m);
    for (const service of ['manager', 'scheduler', 'seed-peer', ...PEERS]) {
      expect(started.stdout).toMatch(new RegExp(`^${service} +\\S.* healthy +\\S*log/${service}\\.log$`, 'm'));
    }
  });

  it('has nothing to warn of after a start with its own configuration', () => {
    for (const service of ['manager', 'scheduler', 'seed-peer', ...PEERS]) {
      const lines = readFileSync(cluster.file('log', `${service}.log`), 'utf8').split('\n');
      expect(lines.length).toBeGreaterThan(1);
      expect(lines.filter((line) => /"level":"(?:warn|error|fatal)"/.test(line))).toEqual([]);
    }
  });

  it('listens on every port of the table but the proxies (seed 001-3)', async () => {
    const settings: PortSetting[] = [
      'MANAGER_REST_PORT',
      'MANAGER_GRPC_PORT',
      'SCHEDULER_GRPC_PORT',
      'SEED_PEER_GRPC_PORT',
      'SEED_PEER_PIECE_PORT',
      'PEER_GRPC_PORT',
      'PEER_PIECE_PORT',
    ];
    const answers = await Promise.all(settings.map(async (setting) => [setting, await listens(cluster.port(setting))]));
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(settings.map((setting) => [setting, true])));
  });

  it('has scheduler and seed peer active in cluster 1 at the manager (seed 001-5)', async () => {
    const rest = await ManagerRest.signIn(`http://127.0.0.1:${cluster.port('MANAGER_REST_PORT')}`);
    expect(await rest.list('schedulers')).toEqual([
      expect.objectContaining({
        ip: '127.0.0.1',
        port: cluster.port('SCHEDULER_GRPC_PORT'),
        state: 'active',
        scheduler_cluster_id: 1,
      }),
    ]);
    expect(await rest.list('seed-peers')).toEqual([
      expect.objectContaining({
        ip: '127.0.0.1',
        port: cluster.port('SEED_PEER_GRPC_PORT'),
        state: 'active',
        seed_peer_cluster_id: 1,
      }),
    ]);
  });

  it(
    'fetches a file once from the origin for three peers at once, through the seed peer (seeds 001-6, 002-4, 003-1)',
    async () => {
      const content = new Content(48 * MIB + 12_345, 6);
      const url = origin.put('/three-peers.bin', content);
      const downloads = await Promise.all(PEERS.map(async (peer) => cluster.download(url, peer)));
      for (const download of downloads) {
        expectSuccess(download);
        expect(await sha256OfFile(download.output)).toBe(content.sha256());
        const { source, seed, peers, local } = download.report?.traffic ?? { source: -1, seed: 0, peers: 0, local: 0 };
        expect(source).toBe(0);
        expect(seed + peers + local).toBe(content.lengthBytes);
      }
      const ratio = origin.bodyBytesSent('/three-peers.bin') / content.lengthBytes;
      expect(ratio.toFixed(2)).toBe('1.00');
    },
    TEST_TIMEOUT_MS,
  );

  it.each(['peer', 'seed-peer'])(
    'downloads through the socket of a %s',
    async (role) => {
      const content = new Content(17 * MIB, role.length);
      const path = `/role-${role}.bin`;
      const url = origin.put(path, content);
      const download = await cluster.download(url, role);
      expectSuccess(download);
      expect(await sha256OfFile(download.output)).toBe(content.sha256());
      expect(origin.bodyBytesSent(path)).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it('prints the lines that the documents show (seed 001-9)', async () => {
    const url = origin.put('/lines/page.html', new Content(43_878, 9));
    const { status, stdout } = await runCommand(DFGET, [`-u=${url}`, '--endpoint', cluster.socket('peer')], {
      env: cluster.env,
      cwd: cluster.file('data'),
    });
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^--\d{4}-\d\d-\d\d \d\d:\d\d:\d\d-- {2}http/);
    expect(lines[1]).toMatch(/^dfget version: \S+$/);
    expect(lines[2]).toMatch(/^current user: \S+, default peer ip: 127\.0\.0\.1$/);
    expect(lines[3]).toBe(`output path: ${cluster.file('data', 'page.html')}`);
    expect(lines[4]).toBe('init success and start to download');
    expect(lines[5]).toBe('finish total length 43878 bytes');
    expect(lines[6]).toMatch(/^download success: true cost: \d+ ms/);
  });

  it('serves a second download from its store in milliseconds (seeds 001-10, 002-54)', async () => {
    const content = new Content(44_000, 10);
    const url = origin.put('/again.bin', content);
    expectSuccess(await cluster.download(url));
    const requestsBefore = origin.requestsOf('/again.bin').length;
    const costs: number[] = [];
    for (let repetition = 0; repetition < 5; repetition += 1) {
      const again = await cluster.download(url);
      expectSuccess(again);
      expect(await sha256OfFile(again.output)).toBe(content.sha256());
      expect(again.report?.traffic).toEqual({ source: 0, seed: 0, peers: 0, local: content.lengthBytes });
      costs.push(Number(/cost: (\d+) ms/.exec(again.stdout)?.[1]));
    }
    expect(origin.requestsOf('/again.bin').length).toBe(requestsBefore);
    // The fastest: what others do on the machine only adds to it.
    expect(Math.min(...costs)).toBeLessThanOrEqual(10);
  });

  it(
    'gets files from origins without ranges and without a length',
    async () => {
      const cases = [
        { path: '/no-ranges.bin', file: { content: new Content(9 * MIB + 1, 21), ranges: false } },
        { path: '/no-length.bin', file: { content: new Content(9 * MIB + 1, 22), unknownLength: true } },
      ];
      for (const { path, file } of cases) {
        const url = origin.put(path, file);
        const downloads = await Promise.all(PEERS.map(async (peer) => cluster.download(url, peer)));
        for (const download of downloads) {
          expectSuccess(download);
          expect(await sha256OfFile(download.output)).toBe(file.content.sha256());
        }
        expect((origin.bodyBytesSent(path) / file.content.lengthBytes).toFixed(2)).toBe('1.00');
      }
    },
    TEST_TIMEOUT_MS,
  );

  it('tells what the origin answered when there is no such file', async () => {
    const url = origin.put('/missing.bin', { content: Buffer.from('gone'), status: 404 });
    const download = await cluster.download(url);
    expect(download.status).not.toBe(0);
    expect(download.stdout + download.stderr).toContain('404');
    expect(download.report).toBeUndefined();
  });

  it(
    'keeps running services when it is run again',
    async () => {
      const before = cluster.pids();
      const again = await cluster.up();
      expect(again.stdout).not.toContain('started:');
      expect(cluster.pids()).toEqual(before);
    },
    START_TIMEOUT_MS,
  );

  it(
    'keeps what a peer has over a kill -9, and starts only what is missing',
    async () => {
      const content = new Content(20 * MIB, 31);
      const url = origin.put('/kept.bin', content);
      expectSuccess(await cluster.download(url, 'peer-2'));
      const before = cluster.pids();
      const killed = before['peer-2'];
      if (killed === undefined) throw new Error('peer-2 has no process');
      await killAndWait(killed);

      const status = await cluster.run('status');
      expect(status.status).not.toBe(0);
      expect(status.stdout).toMatch(/^peer-2 .* down /m);

      const again = await cluster.up();
      expect(again.stdout).toMatch(/^started: peer-2$/m);
      const { 'peer-2': restarted, ...others } = cluster.pids();
      expect(others).toEqual(Object.fromEntries(Object.entries(before).filter(([service]) => service !== 'peer-2')));
      expect(restarted).not.toBe(killed);

      const sentBefore = origin.bodyBytesSent('/kept.bin');
      const download = await cluster.download(url, 'peer-2');
      expectSuccess(download);
      expect(download.report?.traffic.local).toBe(content.lengthBytes);
      expect(origin.bodyBytesSent('/kept.bin')).toBe(sentBefore);
    },
    START_TIMEOUT_MS,
  );

  it('stores a journal of the pieces beside the content', () => {
    const store = cluster.file('data', 'peer', 'store');
    const files = readdirSync(store, { recursive: true, encoding: 'utf8' });
    expect(files).toContain('version');
    expect(files.filter((file) => /journal/.test(file)).length).toBeGreaterThan(0);
  });

  it(
    'downloads with the scheduler dead, at the cost of at most a second (seeds 001-11, 002-53)',
    async () => {
      const { scheduler } = cluster.pids();
      if (scheduler === undefined) throw new Error('the scheduler has no process');
      await killAndWait(scheduler);
      const content = new Content(10 * MIB, 11);
      const url = origin.put('/scheduler-dead.bin', content);
      const download = await cluster.download(url, 'peer-3');
      expectSuccess(download);
      expect(await sha256OfFile(download.output)).toBe(content.sha256());
      expect(download.report?.costMs).toBeLessThanOrEqual(2_000);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'stops every process and removes its sockets',
    async () => {
      const pids = Object.values(cluster.pids());
      const runtime = readFileSync(cluster.file('runtime'), 'utf8').trim();
      const stopped = await cluster.run('stop');
      expect({ status: stopped.status, stderr: stopped.stderr }).toEqual({ status: 0, stderr: '' });
      await waitFor(() => pids.every((pid) => !isAlive(pid)), { what: 'the end of every process' });
      expect(() => readdirSync(runtime)).toThrow('ENOENT');
      expect(cluster.pids()).toEqual({});
      const status = await cluster.run('status');
      expect(status.status).not.toBe(0);
    },
    TEST_TIMEOUT_MS,
  );
});
