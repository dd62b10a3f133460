import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import path from 'node:path';
import {
  ChildService,
  Content,
  CountingOrigin,
  PortBlock,
  runCommand,
  sha256OfFile,
  tempDir,
  type TempDir,
} from '@dragonfly/testkit';
import { DFGET, REPOSITORY } from './local-cluster.js';

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;
const START_TIMEOUT_MS = 60_000;
const TEST_TIMEOUT_MS = 120_000;

/** Ports of one cluster, from the first of a block. */
const PORT = { rest: 0, grpc: 1, join: 2, metrics: 3, scheduler: 4, status: 5, daemons: 6 } as const;
const PORTS_PER_DAEMON = 7;

/** A manager that gives certificates out, and services that have nothing but a join token. */
class SecuredCluster {
  readonly services = new Map<string, ChildService>();

  private constructor(
    private readonly directory: TempDir,
    private readonly block: PortBlock,
  ) {}

  static async start(): Promise<SecuredCluster> {
    const block = await PortBlock.reserve(PORT.daemons + 2 * PORTS_PER_DAEMON);
    const cluster = new SecuredCluster(tempDir('secured'), block);
    try {
      await cluster.startManager();
      for (const name of ['scheduler', 'seed-peer', 'peer']) {
        writeFileSync(cluster.file(`${name}.token`), await cluster.token(name));
        await cluster.startService(name);
        // As it should be handled: good once, and gone.
        rmSync(cluster.file(`${name}.token`));
      }
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  port(offset: number): number {
    return this.block.firstPort + offset;
  }

  file(...parts: string[]): string {
    return this.directory.file(...parts);
  }

  async startService(name: string): Promise<void> {
    const isScheduler = name === 'scheduler';
    const [settings, ready] = isScheduler ? this.schedulerSettings() : this.daemonSettings(name);
    await this.run(name, settings, ready);
  }

  async restart(name: string): Promise<void> {
    await this.services.get(name)?.stop();
    await this.startService(name);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.services.values()].map((service) => service.stop()));
    this.directory.remove();
    await this.block.release();
  }

  async rest(method: string, route: string, body?: object): Promise<unknown> {
    const base = `http://${HOST}:${this.port(PORT.rest)}`;
    const json = { 'content-type': 'application/json' };
    const signedIn = await fetch(`${base}/api/v1/users/signin`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ name: 'root', password: 'dragonfly' }),
    });
    const { token } = (await signedIn.json()) as { token: string };
    const answer = await fetch(`${base}/api/v1/${route}`, {
      method,
      headers: { ...json, authorization: `Bearer ${token}` },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  private async token(bio: string): Promise<string> {
    return ((await this.rest('POST', 'join-tokens', { bio })) as { token: string }).token;
  }

  private async startManager(): Promise<void> {
    const settings = {
      server: {
        workHome: this.file('manager'),
        grpc: { listenIP: HOST, port: { start: this.port(PORT.grpc) } },
        rest: { addr: `${HOST}:${this.port(PORT.rest)}` },
      },
      database: { type: 'sqlite' },
      metrics: { enable: true, addr: `${HOST}:${this.port(PORT.metrics)}` },
      security: { enable: true, joinPort: this.port(PORT.join) },
    };
    await this.run('manager', settings, this.port(PORT.rest));
  }

  private schedulerSettings(): [object, number] {
    const settings = {
      server: {
        advertiseIP: HOST,
        listenIP: HOST,
        port: this.port(PORT.scheduler),
        host: 'secured-scheduler',
        dataDir: this.file('scheduler'),
      },
      manager: { addr: `${HOST}:${this.port(PORT.grpc)}`, schedulerClusterID: 1 },
      metrics: { enable: true, addr: `${HOST}:${this.port(PORT.status)}` },
      security: this.joining('scheduler'),
    };
    return [settings, this.port(PORT.status)];
  }

  private daemonSettings(name: string): [object, number] {
    const first = this.port(PORT.daemons) + (name === 'seed-peer' ? 0 : PORTS_PER_DAEMON);
    const directory = this.file(name);
    const at = (offset: number): object => ({ server: { ip: HOST, port: first + offset } });
    const settings = {
      host: { hostname: `secured-${name}`, ip: HOST },
      server: { cacheDir: path.join(directory, 'cache') },
      download: { server: { socketPath: path.join(directory, 'd.sock') } },
      upload: at(0),
      manager: { addr: `http://${HOST}:${this.port(PORT.grpc)}` },
      storage: { dir: path.join(directory, 'store'), server: { ip: HOST, tcpPort: first + 2 } },
      proxy: at(3),
      health: at(1),
      metrics: at(4),
      stats: at(5),
      security: this.joining(name),
    };
    return [settings, first + 1];
  }

  private joining(name: string): object {
    return {
      enable: true,
      joinTokenFile: this.file(`${name}.token`),
      joinAddr: `${HOST}:${this.port(PORT.join)}`,
      directory: this.file(name, 'certificates'),
    };
  }

  private async run(name: string, settings: object, readyPort: number): Promise<void> {
    mkdirSync(this.file(name), { recursive: true });
    const config = this.file(`${name}.yaml`);
    writeFileSync(config, JSON.stringify(settings));
    const service = await ChildService.start({
      name,
      command: process.execPath,
      args: [path.join(REPOSITORY, `apps/${name}/dist/main.js`), '--config', config, '--console'],
      readyUrl: `http://${HOST}:${readyPort}/readyz`,
      readyTimeoutMs: START_TIMEOUT_MS,
    });
    this.services.set(name, service);
  }
}

/** Whether an HTTP/2 client without TLS gets anything from a port. */
async function answersInPlain(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  const answer = await Promise.race([
    once(socket, 'data').then(([data]) => (data as Buffer)[3] === 4), // a SETTINGS frame
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

/** Whether a TLS client without a certificate of its own is let in. */
async function admitsWithoutCertificate(port: number): Promise<boolean> {
  const socket = connectTls({ host: HOST, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  socket.on('error', () => undefined);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  const answer = await Promise.race([
    once(socket, 'data').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

describe('a cluster with the one switch for mTLS on', () => {
  let cluster: SecuredCluster;
  let origin: CountingOrigin;

  beforeAll(async () => {
    origin = await CountingOrigin.start();
    cluster = await SecuredCluster.start();
  }, 4 * START_TIMEOUT_MS);

  afterAll(async () => {
    await cluster.stop();
    await origin.close();
  }, TEST_TIMEOUT_MS);

  async function download(name: string, sizeBytes: number): Promise<void> {
    const content = new Content(sizeBytes);
    const url = origin.put(`/${name}`, content);
    const output = cluster.file(`${name}.out`);
    const endpoint = cluster.file('peer', 'd.sock');
    const ended = await runCommand(DFGET, [`-u=${url}`, '-O', output, '--endpoint', endpoint, '--no-daemon']);
    expect({ status: ended.status, stderr: ended.stderr }).toMatchObject({ status: 0 });
    expect(await sha256OfFile(output)).toBe(content.sha256());
    expect(origin.bodyBytesSent(`/${name}`)).toBe(sizeBytes);
  }

  it(
    'downloads through scheduler, seed peer and peer, each of which joined with a token',
    async () => {
      await download('first', 10 * MIB);
      const certificates = (await cluster.rest('GET', 'certificates')) as { common_name: string }[];
      expect(certificates.map((one) => one.common_name).sort()).toEqual(['manager', 'peer', 'scheduler', 'seed-peer']);
      for (const name of ['scheduler', 'seed-peer', 'peer']) {
        expect(readdirSync(cluster.file(name, 'certificates')).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
        expect(readFileSync(cluster.file(name, 'certificates', 'tls.key'), 'utf8')).toContain('PRIVATE KEY');
      }
    },
    TEST_TIMEOUT_MS,
  );

  it('lets nobody in without a certificate, on no gRPC port', async () => {
    const ports = {
      manager: cluster.port(PORT.grpc),
      scheduler: cluster.port(PORT.scheduler),
      seedPeer: cluster.port(PORT.daemons),
      peer: cluster.port(PORT.daemons + PORTS_PER_DAEMON),
    };
    for (const [name, port] of Object.entries(ports)) {
      expect([name, await answersInPlain(port), await admitsWithoutCertificate(port)]).toEqual([name, false, false]);
    }
  });

  it(
    'goes on after restarts without any token, and through a change of authority without restarts',
    async () => {
      expect(existsSync(cluster.file('peer.token'))).toBe(false);
      await cluster.restart('peer');
      await download('second', 5 * MIB);
      await cluster.rest('POST', 'certificate-authorities');
      await cluster.restart('seed-peer');
      await download('third', 5 * MIB);
    },
    TEST_TIMEOUT_MS,
  );
});
