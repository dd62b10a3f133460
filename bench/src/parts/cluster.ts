import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { taskIdOfUrl } from '@dragonfly/ids';
import { dfdaemonV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { ChildService, freePort } from '@dragonfly/testkit';
import { cpuSeconds } from '../measure/process-figures.ts';
import { runCommand, type CommandFigures } from '../measure/run-command.ts';
import { inRoot } from './paths.ts';

const IP = '127.0.0.1';
const DELETE_TIMEOUT_MS = 30_000;
const READY_TIMEOUT_MS = 60_000;
/** The flags with which run.sh and the images start our services. */
const YOUNG_GENERATION = '--max-semi-space-size=4';
const YOUNG_GENERATION_OF_SCHEDULER = '--max-semi-space-size=16';

/** Whose daemons: ours, or the released Rust ones under our manager and scheduler. */
export type Make = { readonly kind: 'ours' } | { readonly kind: 'real'; readonly binaries: string };

export interface ClusterOptions {
  /** Everything lives below it. */
  readonly directory: string;
  /** Part of the host names. */
  readonly name: string;
  readonly make: Make;
  readonly seeds: number;
  readonly peers: number;
  /** Further flags of Node for the scheduler. */
  readonly schedulerFlags?: readonly string[];
}

/** One daemon and how to download through it. */
export class Daemon {
  readonly service: ChildService;
  readonly socket: string;
  private readonly make: Make;

  constructor(service: ChildService, socket: string, make: Make) {
    this.service = service;
    this.socket = socket;
    this.make = make;
  }

  get pid(): number {
    return this.service.pid;
  }

  /** Runs the dfget that belongs to the daemon; the output must not exist. */
  download(url: string, output: string): Promise<CommandFigures> {
    const args = [url, '--output', output, '--endpoint', this.socket];
    return this.make.kind === 'ours'
      ? runCommand(inRoot('bin/dfget'), args)
      : runCommand(join(this.make.binaries, 'dfget'), [...args, '--no-progress']);
  }

  /**
   * Removes a task from the store, so that disk and page cache stay the size of one round. A daemon need not have it: a
   * real peer fetches small files past its seed.
   */
  async forget(url: string): Promise<void> {
    const client = createGrpcClient(dfdaemonV2.DfdaemonDownloadClient, `unix:${this.socket}`);
    try {
      await unary(
        client.deleteTask.bind(client),
        { taskId: taskIdOfUrl({ url }), remoteIp: undefined },
        { deadlineMs: DELETE_TIMEOUT_MS },
      );
    } catch (error) {
      if (!/not found/.test(Error.isError(error) ? error.message : '')) throw error;
    } finally {
      client.close();
    }
  }
}

/** A started service and how long its start took. */
export interface StartedService {
  readonly service: ChildService;
  /** From the start of the process to the first time it says that it is ready. */
  readonly startSeconds: number;
}

/** Manager, scheduler and daemons as local processes, with fresh data. */
export class Cluster {
  readonly seeds: Daemon[] = [];
  readonly peers: Daemon[] = [];
  /** In the order of starting. */
  readonly started: StartedService[] = [];
  schedulerAddress = '';
  private managerAddress = '';
  private readonly options: ClusterOptions;

  private constructor(options: ClusterOptions) {
    this.options = options;
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    try {
      await cluster.startManager();
      await cluster.startScheduler();
      for (let index = 0; index < options.seeds; index += 1) cluster.seeds.push(await cluster.startDaemon(index, true));
      for (let index = 0; index < options.peers; index += 1) {
        cluster.peers.push(await cluster.startDaemon(index, false));
      }
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get daemons(): Daemon[] {
    return [...this.seeds, ...this.peers];
  }

  service(name: string): ChildService {
    const found = this.started.find(({ service }) => service.name === name)?.service;
    if (found === undefined) throw new Error(`no service ${name}`);
    return found;
  }

  /** Of all processes of the cluster since they began. */
  cpuSeconds(): number {
    return this.started.reduce((sum, { service }) => sum + cpuSeconds(service.pid), 0);
  }

  async stop(): Promise<void> {
    // Daemons first: they say goodbye to the scheduler.
    for (const { service } of this.started.toReversed()) await service.stop();
    await rm(this.options.directory, { recursive: true, force: true });
  }

  private async startManager(): Promise<void> {
    const [grpcPort, restPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
    const data = join(this.options.directory, 'manager');
    this.managerAddress = `${IP}:${grpcPort}`;
    await this.startOurs('manager', 'apps/manager/dist/main.js', `http://${IP}:${restPort}/readyz`, {
      server: {
        workHome: data,
        grpc: { advertiseIP: IP, listenIP: IP, port: { start: grpcPort, end: grpcPort } },
        rest: { addr: `${IP}:${restPort}` },
      },
      database: { type: 'sqlite', sqlite: { path: join(data, 'manager.db') }, redis: { addrs: [] } },
      metrics: { enable: true, addr: `${IP}:${metricsPort}` },
    });
  }

  private async startScheduler(): Promise<void> {
    const [port, metricsPort] = [await freePort(), await freePort()];
    this.schedulerAddress = `${IP}:${port}`;
    await this.startOurs('scheduler', 'apps/scheduler/dist/main.js', `http://${IP}:${metricsPort}/readyz`, {
      server: {
        advertiseIP: IP,
        advertisePort: port,
        listenIP: IP,
        port,
        host: `${this.options.name}-scheduler`,
        dataDir: join(this.options.directory, 'scheduler'),
      },
      manager: { addr: this.managerAddress, schedulerClusterID: 1, keepAlive: { interval: '5s' } },
      database: { redis: { addrs: [] } },
      metrics: { enable: true, addr: `${IP}:${metricsPort}` },
    });
  }

  private async startDaemon(index: number, isSeed: boolean): Promise<Daemon> {
    const { directory, make } = this.options;
    const role = isSeed ? 'seed-peer' : 'peer';
    const name = `${role}-${index + 1}`;
    const data = join(directory, name);
    const socket = join(directory, `${name}.sock`);
    const ports = await Promise.all(Array.from({ length: 7 }, () => freePort()));
    const [grpc, proxy, piece, quic, health, metrics, stats] = ports;
    const config = {
      host: { hostname: `${this.options.name}-${name}`, ip: IP },
      server: { cacheDir: join(data, 'cache'), pluginDir: join(data, 'plugins') },
      download: { server: { socketPath: socket } },
      upload: { server: { ip: IP, port: grpc } },
      manager: { addr: `http://${this.managerAddress}` },
      seedPeer: { enable: isSeed, type: 'super' },
      storage: { dir: join(data, 'store'), keep: true, server: { ip: IP, tcpPort: piece, quicPort: quic } },
      proxy: { server: { ip: IP, port: proxy } },
      health: { server: { ip: IP, port: health } },
      metrics: { server: { ip: IP, port: metrics } },
      stats: { server: { ip: IP, port: stats } },
    };
    if (make.kind === 'ours') {
      // Our health port answers before the daemon has joined the cluster; ready means both.
      const url = `http://${IP}:${health}/readyz`;
      return new Daemon(await this.startOurs(name, `apps/${role}/dist/main.js`, url, config), socket, make);
    }
    const file = await this.writeConfig(name, config);
    const service = await this.startTimed({
      name,
      command: join(make.binaries, 'dfdaemon'),
      args: ['--config', file, '--log-dir', join(data, 'log'), '--log-level', 'info'],
      readyUrl: `http://${IP}:${health}/healthy`,
    });
    return new Daemon(service, socket, make);
  }

  private async startOurs(name: string, program: string, readyUrl: string, config: object): Promise<ChildService> {
    const file = await this.writeConfig(name, config);
    return this.startTimed({
      name,
      command: process.execPath,
      args: [
        ...(name === 'scheduler'
          ? [YOUNG_GENERATION_OF_SCHEDULER, ...(this.options.schedulerFlags ?? [])]
          : [YOUNG_GENERATION]),
        inRoot(program),
        '--config',
        file,
        '--console',
      ],
      readyUrl,
    });
  }

  private async startTimed(
    options: Omit<Parameters<typeof ChildService.start>[0], 'readyTimeoutMs'>,
  ): Promise<ChildService> {
    const startedAt = performance.now();
    const service = await ChildService.start({ ...options, readyTimeoutMs: READY_TIMEOUT_MS });
    this.started.push({ service, startSeconds: (performance.now() - startedAt) / 1000 });
    return service;
  }

  /** YAML, of which JSON is a part. */
  private async writeConfig(name: string, config: object): Promise<string> {
    const file = join(this.options.directory, `${name}.yaml`);
    await mkdir(this.options.directory, { recursive: true });
    await writeFile(file, JSON.stringify(config, undefined, 2));
    return file;
  }
}
