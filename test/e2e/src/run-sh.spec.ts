import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { Content } from '@dragonfly/testkit';
import { LocalCluster } from './local-cluster.js';

const START_TIMEOUT_MS = 240_000;

describe('run.sh', () => {
  let cluster: LocalCluster;

  beforeEach(async () => {
    cluster = await LocalCluster.create();
  });

  afterEach(async () => {
    await cluster.destroy();
  }, START_TIMEOUT_MS);

  it.each([
    { args: ['--peers', '0'], complaint: '--peers 0 is not a number of peers (1..99)' },
    { args: ['--peers', 'many'], complaint: '--peers many is not a number of peers (1..99)' },
    { args: ['--fast'], complaint: 'unknown option --fast' },
    { args: ['begin'], complaint: 'unknown command begin' },
    { args: ['status'], complaint: 'nothing has been started yet' },
  ])('refuses $args in words', async ({ args, complaint }) => {
    const ended = await cluster.run(...args);
    expect(ended.status).not.toBe(0);
    expect(ended.stderr).toContain(complaint);
  });

  it('refuses an address that is none', async () => {
    cluster.env['IP'] = 'my-laptop';
    const ended = await cluster.run('--local');
    expect(ended.status).not.toBe(0);
    expect(ended.stderr).toContain('IP=my-laptop is not an IPv4 or IPv6 address');
  });

  it(
    'names the service whose port is taken, and starts nothing',
    async () => {
      const port = cluster.port('SCHEDULER_GRPC_PORT');
      const holder = await new Promise<Server>((resolve) => {
        const server = createServer();
        server.listen(port, '127.0.0.1', () => {
          resolve(server);
        });
      });
      try {
        const ended = await cluster.run('--local');
        expect(ended.status).not.toBe(0);
        expect(ended.stderr).toContain(`port ${port}, which scheduler needs (GRPC), is in use`);
        expect(cluster.pids()).toEqual({});
      } finally {
        holder.close();
      }
    },
    START_TIMEOUT_MS,
  );

  it(
    'tells which service has crashed, with its last lines, and goes on from there',
    async () => {
      const database = cluster.file('data', 'manager', 'manager.db');
      mkdirSync(database, { recursive: true });
      const crashed = await cluster.run('--local');
      expect(crashed.status).not.toBe(0);
      expect(crashed.stderr).toContain('manager has ended; the last lines of');
      expect(crashed.stderr).toMatch(/^ {2}\| .*manager could not start .*manager\.db/m);

      rmSync(database, { recursive: true });
      const mended = await cluster.up();
      expect(mended.stdout).toMatch(/^started: manager/m);
    },
    START_TIMEOUT_MS,
  );

  it(
    'gives a file to three peers at once from an origin that sends every byte once',
    async () => {
      await cluster.up();
      const before = cluster.pids();
      const file = cluster.scratch('demo-file');
      writeFileSync(file, new Content(40 * 1024 * 1024 + 7, 40).slice());

      const demo = await cluster.run('demo', file, '--peers', '3');
      expect({ status: demo.status, stderr: demo.stderr }).toEqual({ status: 0, stderr: '' });
      for (const peer of ['peer', 'peer-2', 'peer-3']) {
        expect(demo.stdout).toMatch(new RegExp(`^${peer} +[\\d.]+ s +[\\d.]+ MB/s( +\\d+ %){4} +ok$`, 'm'));
      }
      expect(demo.stdout).toMatch(/ bytes of the file = 1\.00 /);
      // The further peers were the demonstration's own.
      expect(cluster.pids()).toEqual(before);
    },
    START_TIMEOUT_MS,
  );
});
