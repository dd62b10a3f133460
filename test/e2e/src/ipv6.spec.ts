import { mkdirSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import {
  ChildService,
  Content,
  CountingOrigin,
  PortBlock,
  runCommand,
  sha256OfFile,
  tempDir,
  waitFor,
} from '@dragonfly/testkit';
import { DFGET, REPOSITORY } from './local-cluster.js';
import { ManagerRest } from './manager-rest.js';

const IP = '::1';
const MIB = 1024 * 1024;
const START_TIMEOUT_MS = 60_000;
const TEST_TIMEOUT_MS = 120_000;
const PORT = {
  rest: 0,
  grpc: 1,
  managerStatus: 2,
  scheduler: 3,
  schedulerStatus: 4,
  daemons: 5,
  perDaemon: 5,
} as const;

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === IP));
if (!hasIpv6) process.stderr.write(`skip: this machine has no ${IP}\n`);

(hasIpv6 ? describe : describe.skip)(`a cluster that knows nothing but ${IP}`, () => {
  const directory = tempDir('ipv6');
  const services: ChildService[] = [];
  let block: PortBlock;
  let origin: CountingOrigin;

  const port = (offset: number): number => block.firstPort + offset;
  const at = (offset: number): object => ({ server: { ip: IP, port: port(offset) } });

  async function start(app: string, name: string, settings: object, readyPort: number): Promise<void> {
    mkdirSync(directory.file(name));
    const config = directory.file(`${name}.yaml`);
    writeFileSync(config, JSON.stringify(settings));
    services.push(
      await ChildService.start({
        name,
        command: process.execPath,
        args: [path.join(REPOSITORY, `apps/${app}/dist/main.js`), '--config', config, '--console'],
        readyUrl: `http://[${IP}]:${readyPort}/readyz`,
        readyTimeoutMs: START_TIMEOUT_MS,
      }),
    );
  }

  async function startDaemon(app: 'peer' | 'seed-peer', name: string, index: number): Promise<void> {
    const first = PORT.daemons + index * PORT.perDaemon;
    await start(
      app,
      name,
      {
        host: { hostname: `v6-${name}`, ip: IP },
        network: { enableIPv6: true },
        server: { cacheDir: directory.file(name, 'cache') },
        download: { server: { socketPath: directory.file(name, 'd.sock') } },
        upload: at(first),
        manager: { addr: `http://[${IP}]:${port(PORT.grpc)}` },
        storage: { dir: directory.file(name, 'store'), server: { ip: IP, tcpPort: port(first + 1) } },
        health: at(first + 2),
        metrics: at(first + 3),
      },
      port(first + 2),
    );
  }

  beforeAll(async () => {
    block = await PortBlock.reserve(PORT.daemons + 3 * PORT.perDaemon);
    origin = await CountingOrigin.start(IP);
    await start(
      'manager',
      'manager',
      {
        server: {
          workHome: directory.file('manager'),
          grpc: { listenIP: IP, advertiseIP: IP, port: { start: port(PORT.grpc) } },
          rest: { addr: `[${IP}]:${port(PORT.rest)}` },
        },
        network: { enableIPv6: true },
        database: { type: 'sqlite' },
        job: { outgoing: { allow: ['loopback'] } },
        metrics: { enable: true, addr: `[${IP}]:${port(PORT.managerStatus)}` },
      },
      port(PORT.rest),
    );
    await start(
      'scheduler',
      'scheduler',
      {
        server: {
          host: 'v6-scheduler',
          advertiseIP: IP,
          listenIP: IP,
          port: port(PORT.scheduler),
          dataDir: directory.file('scheduler'),
        },
        network: { enableIPv6: true },
        manager: { addr: `[${IP}]:${port(PORT.grpc)}`, schedulerClusterID: 1 },
        metrics: { enable: true, addr: `[${IP}]:${port(PORT.schedulerStatus)}` },
      },
      port(PORT.schedulerStatus),
    );
    await startDaemon('seed-peer', 'seed', 0);
    await startDaemon('peer', 'first', 1);
    await startDaemon('peer', 'second', 2);
  }, 5 * START_TIMEOUT_MS);

  afterAll(async () => {
    for (const service of services.reverse()) await service.stop();
    await origin.close();
    await block.release();
    directory.remove();
  }, TEST_TIMEOUT_MS);

  it(
    'downloads through seed and peers, each from the other, and the source is read once',
    async () => {
      const content = new Content(17 * MIB, 6);
      const url = origin.put('/v6.bin', content);
      expect(url).toContain(`//[${IP}]:`);
      for (const daemon of ['first', 'second']) {
        const output = directory.file(`${daemon}.out`);
        const socket = directory.file(daemon, 'd.sock');
        const ended = await runCommand(DFGET, [
          `-u=${url}`,
          '-O',
          output,
          '--endpoint',
          socket,
          '--no-daemon',
          '--disable-back-to-source',
        ]);
        expect({ status: ended.status, stderr: ended.stderr }).toMatchObject({ status: 0 });
        expect(await sha256OfFile(output)).toBe(content.sha256());
      }
      expect(origin.bodyBytesSent('/v6.bin')).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'is managed: instances with their addresses, a preheat of everybody',
    async () => {
      const rest = await ManagerRest.signIn(`http://[${IP}]:${port(PORT.rest)}`);
      expect(await rest.list('schedulers')).toMatchObject([{ ip: IP, state: 'active' }]);
      expect(await rest.list('seed-peers')).toMatchObject([{ ip: IP, state: 'active' }]);
      const url = origin.put('/preheat.bin', new Content(5 * MIB, 7));
      const job = { type: 'preheat', args: { type: 'file', url, scope: 'all_peers' } };
      const { id } = await rest.request<{ id: number }>('POST', '/api/v1/jobs', job);
      const state = await waitFor(
        async () => {
          const job = await rest.request<{ state: string }>('GET', `/api/v1/jobs/${id}`);
          return job.state !== 'PENDING' && job.state;
        },
        { what: 'the end of the preheat', timeoutMs: START_TIMEOUT_MS, intervalMs: 200 },
      );
      expect(state).toBe('SUCCESS');
      expect(origin.bodyBytesSent('/preheat.bin')).toBe(5 * MIB);
    },
    TEST_TIMEOUT_MS,
  );
});
