import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ChildService, Command, PortBlock, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { DFGET, REPOSITORY, type Download, type DownloadReport } from './local-cluster.js';
import { ManagerRest } from './manager-rest.js';

const HOST = '127.0.0.1';
export const START_TIMEOUT_MS = 60_000;
const JOB_TIMEOUT_MS = 90_000;

/** Ports of one cluster, from the first of a block. */
export const PORT = { rest: 0, grpc: 1, join: 2, metrics: 3, scheduler: 4, status: 5, daemons: 6 } as const;
const PORTS_PER_DAEMON = 7;
const MAX_DAEMONS = 6;

export interface SecuredClusterOptions {
  /** @default one of each */
  readonly daemons?: readonly string[];
  /** Beside what turns certificates on. */
  readonly security?: object;
  /** `host:port` of a Redis that manager and scheduler share. @default none */
  readonly redis?: string;
}

export interface Job {
  readonly id: number;
  readonly state: string;
  readonly result: { readonly job_states: readonly { readonly error: string; readonly results: unknown[] }[] } | null;
}

export interface CertificateRow {
  readonly id: number;
  readonly common_name: string;
  readonly names: readonly string[];
  readonly authority_fingerprint: string;
}

/** A manager that gives certificates out, and services that have nothing but a join token. */
export class SecuredCluster {
  readonly services = new Map<string, ChildService>();
  private rest: ManagerRest | undefined;
  private readonly daemons: string[] = [];
  private downloads = 0;

  private constructor(
    private readonly directory: TempDir,
    private readonly block: PortBlock,
    private readonly options: SecuredClusterOptions,
  ) {}

  static async start(options: SecuredClusterOptions = {}): Promise<SecuredCluster> {
    const block = await PortBlock.reserve(PORT.daemons + MAX_DAEMONS * PORTS_PER_DAEMON);
    const cluster = new SecuredCluster(tempDir('secured'), block, options);
    try {
      await cluster.startManager();
      for (const name of ['scheduler', ...(options.daemons ?? ['seed-peer', 'peer'])]) await cluster.join(name);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  port(offset: number): number {
    return this.block.firstPort + offset;
  }

  /** Where a daemon serves other machines. */
  daemonPort(name: string): number {
    const index = this.daemons.indexOf(name);
    if (index < 0) throw new Error(`no daemon ${name}`);
    return this.port(PORT.daemons + index * PORTS_PER_DAEMON);
  }

  file(...parts: string[]): string {
    return this.directory.file(...parts);
  }

  /** A new machine: a token for it, its first start, and the token is gone, as it should be. */
  async join(name: string): Promise<void> {
    writeFileSync(this.tokenFile(name), await this.token(name));
    await this.startService(name);
    rmSync(this.tokenFile(name));
  }

  hasToken(name: string): boolean {
    return existsSync(this.tokenFile(name));
  }

  /** @param changes replace whole sections of the configuration */
  async startService(name: string, changes: object = {}, waitsForReady = true): Promise<ChildService> {
    const [settings, ready] = name === 'scheduler' ? this.schedulerSettings() : this.daemonSettings(name);
    return this.run(name, { ...settings, ...changes }, waitsForReady ? ready : undefined);
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

  async request<T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', route: string, body?: object): Promise<T> {
    this.rest ??= await ManagerRest.signIn(`http://${HOST}:${this.port(PORT.rest)}`);
    return this.rest.request<T>(method, `/api/v1/${route}`, body);
  }

  async certificates(): Promise<CertificateRow[]> {
    return this.request('GET', 'certificates?per_page=50');
  }

  /** Puts a job in and waits for its end. */
  async runJob(body: object): Promise<Job> {
    const { id } = await this.request<Job>('POST', 'jobs', body);
    return waitFor(
      async () => {
        const seen = await this.request<Job>('GET', `jobs/${id}`);
        return seen.state !== 'PENDING' && seen;
      },
      { what: `the end of job ${id}`, timeoutMs: JOB_TIMEOUT_MS, intervalMs: 200 },
    );
  }

  /** dfget at one of the daemons, with the file that it reports to. */
  async download(url: string, daemon = 'peer', ...flags: string[]): Promise<Download> {
    return this.beginDownload(url, daemon, ...flags).ended;
  }

  beginDownload(url: string, daemon = 'peer', ...flags: string[]): { ended: Promise<Download> } {
    this.downloads += 1;
    const output = this.file(`output-${this.downloads}`);
    const reportFile = `${output}.json`;
    const endpoint = this.file(daemon, 'd.sock');
    const args = [`-u=${url}`, '-O', output, '--endpoint', endpoint, '--no-daemon', '--report', reportFile, ...flags];
    const command = Command.start(DFGET, args);
    const report = (): DownloadReport | undefined =>
      existsSync(reportFile) ? (JSON.parse(readFileSync(reportFile, 'utf8')) as DownloadReport) : undefined;
    return { ended: command.ended.then((ended) => ({ ...ended, output, report: report() })) };
  }

  private tokenFile(name: string): string {
    return this.file(`${name}.token`);
  }

  /** A token that one machine can join with. */
  async token(bio: string): Promise<string> {
    return (await this.request<{ token: string }>('POST', 'join-tokens', { bio })).token;
  }

  private redis(): object {
    return this.options.redis === undefined ? {} : { redis: { addrs: [this.options.redis] } };
  }

  private async startManager(): Promise<void> {
    const settings = {
      server: {
        workHome: this.file('manager'),
        grpc: { listenIP: HOST, port: { start: this.port(PORT.grpc) } },
        rest: { addr: `${HOST}:${this.port(PORT.rest)}` },
      },
      database: { type: 'sqlite', ...this.redis() },
      job: { outgoing: { allow: ['loopback'] } },
      objectStorage: { enable: true, name: 's3', region: 'r', endpoint: `${HOST}:1`, accessKey: 'a', secretKey: 's' },
      metrics: { enable: true, addr: `${HOST}:${this.port(PORT.metrics)}` },
      security: { enable: true, joinPort: this.port(PORT.join), ...this.options.security },
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
      database: this.redis(),
      job: { registry: { allow: ['loopback'] } },
      metrics: { enable: true, addr: `${HOST}:${this.port(PORT.status)}` },
      security: this.joining('scheduler'),
    };
    return [settings, this.port(PORT.status)];
  }

  private daemonSettings(name: string): [object, number] {
    if (!this.daemons.includes(name)) this.daemons.push(name);
    const first = this.daemonPort(name);
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
      joinTokenFile: this.tokenFile(name),
      joinAddr: `${HOST}:${this.port(PORT.join)}`,
      directory: this.file(name, 'certificates'),
    };
  }

  private async run(name: string, settings: object, readyPort: number | undefined): Promise<ChildService> {
    mkdirSync(this.file(name), { recursive: true });
    const config = this.file(`${name}.yaml`);
    writeFileSync(config, JSON.stringify(settings));
    const app = name.startsWith('peer') ? 'peer' : name.startsWith('seed-peer') ? 'seed-peer' : name;
    const service = await ChildService.start({
      name,
      command: process.execPath,
      args: [path.join(REPOSITORY, `apps/${app}/dist/main.js`), '--config', config, '--console'],
      ...(readyPort === undefined ? {} : { readyUrl: `http://${HOST}:${readyPort}/readyz` }),
      readyTimeoutMs: START_TIMEOUT_MS,
    });
    this.services.set(name, service);
    return service;
  }
}
