import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { LightClient, type DoneMessage } from '@dragonfly/light';
import { ChildService, Content, CountingOrigin, PortBlock, tempDir, type TempDir } from '@dragonfly/testkit';

const REPOSITORY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const MIB = 1024 * 1024;
const READY_TIMEOUT_MS = 90_000;
const MANAGER_PORTS = 3;

export interface CrowdOptions {
  /** Processes, and daemons in each of them. */
  readonly farms: number;
  readonly peersPerFarm: number;
  readonly schedulers: number;
  /** `host:port` of the Redis that the schedulers share; absent: none. */
  readonly redis?: string;
  /** Daemons learn of the schedulers from a manager instead of their configuration. */
  readonly hasManager?: boolean;
  /** Laid over the configuration of each scheduler, as environment variables. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The same of the daemons. */
  readonly daemonSettings?: Readonly<Record<string, string>>;
  /** Schedulers that a test may add later. @default 0 */
  readonly spareSchedulers?: number;
}

interface Scheduler {
  readonly port: number;
  readonly statusPort: number;
  process: ChildService;
}

/** A crowd of daemons, several to a process, under real scheduler processes, and an origin that counts. */
export class Crowd implements AsyncDisposable {
  private readonly schedulers: Scheduler[] = [];
  private readonly farms: ChildService[] = [];
  private readonly paused = new Set<number>();
  private manager: { readonly address: string; readonly process: ChildService } | undefined;

  private constructor(
    readonly origin: CountingOrigin,
    private readonly directory: TempDir,
    private readonly ports: PortBlock,
    private readonly options: CrowdOptions,
  ) {}

  static async start(options: CrowdOptions): Promise<Crowd> {
    const ports = await PortBlock.reserve(MANAGER_PORTS + 2 * (options.schedulers + (options.spareSchedulers ?? 0)));
    const crowd = new Crowd(await CountingOrigin.start(), tempDir('crowd'), ports, options);
    try {
      if (options.hasManager === true) await crowd.startManager();
      for (let number = 0; number < options.schedulers; number += 1) await crowd.addScheduler();
      await Promise.all(Array.from({ length: options.farms }, (_, farm) => crowd.startFarm(farm)));
    } catch (error) {
      await crowd[Symbol.asyncDispose]();
      throw error;
    }
    return crowd;
  }

  /** Every daemon is asked for the URL in the same instant. */
  download(url: string): { readonly peer: string; readonly farm: number; readonly done: Promise<DoneMessage> }[] {
    return Array.from({ length: this.options.farms }, (_, farm) =>
      this.namesOf(farm).map((peer) => {
        const done = this.downloadBy(peer, url);
        // A daemon that is killed loses its requests; who cares looks at the promise.
        done.catch(() => undefined);
        return { peer, farm, done };
      }),
    ).flat();
  }

  outputOf(peer: string): string {
    return this.directory.file(`${peer}.out`);
  }

  /** The schedulers' words on who was sent to the source, in order, as names of peers. */
  sentToSource(): string[] {
    return this.logs().flatMap((line) => {
      const sent = /"peerId":"127\.0\.0\.1-(peer-\d+)-[^"]*".*"msg":"peer goes to the source"/.exec(line);
      return sent?.[1] === undefined ? [] : [sent[1]];
    });
  }

  /** What the processes logged about schedulers that went and about who read a source, for a test that fails. */
  storyOfSources(): string {
    const words = /goes to the source|"source":[1-9]|lost the|another scheduler|is down|is stopping|is serving|cannot/;
    return [...this.farms, ...this.schedulers.map(({ process }) => process)]
      .flatMap((service) => service.log().split('\n'))
      .filter((line) => words.test(line))
      .sort((a, b) => timeOf(a).localeCompare(timeOf(b)))
      .join('\n');
  }

  farmOf(peer: string): number {
    return Math.floor(Number(peer.replace('peer-', '')) / this.options.peersPerFarm);
  }

  async killFarm(farm: number): Promise<void> {
    await this.farms[farm]?.kill('SIGKILL');
  }

  /** Its connections stay open, nobody in it says or reads anything. */
  pauseFarm(farm: number): void {
    const pid = this.farms[farm]?.pid;
    if (pid === undefined) throw new Error(`no farm ${farm}`);
    process.kill(pid, 'SIGSTOP');
    this.paused.add(farm);
  }

  isPaused(farm: number): boolean {
    return this.paused.has(farm);
  }

  resumeAll(): void {
    for (const farm of this.paused) {
      const pid = this.farms[farm]?.pid;
      if (pid !== undefined) process.kill(pid, 'SIGCONT');
    }
    this.paused.clear();
  }

  /** The scheduler whose log says that it sent somebody to the source. */
  leadingScheduler(): number {
    return this.schedulers.findIndex(({ process }) => process.log().includes('peer goes to the source'));
  }

  async killScheduler(number: number): Promise<void> {
    await this.schedulers[number]?.process.kill('SIGKILL');
  }

  async stopScheduler(number: number): Promise<void> {
    await this.schedulers[number]?.process.stop();
  }

  /** @param name host name, which is its place on the ring. @default as before */
  async restartScheduler(number: number, name?: string): Promise<void> {
    const scheduler = this.schedulers[number];
    if (scheduler === undefined) throw new Error(`no scheduler ${number}`);
    scheduler.process = await this.launchScheduler(number, scheduler.port, scheduler.statusPort, name);
  }

  private logs(): string[] {
    return this.schedulers.flatMap(({ process }) => process.log().split('\n'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.farms.map((farm) => farm.kill('SIGKILL')));
    await Promise.all(this.schedulers.map(({ process }) => process.kill('SIGKILL')));
    await this.manager?.process.kill('SIGKILL');
    await this.origin.close();
    this.directory.remove();
    await this.ports.release();
  }

  /** @param output name of the output. @default the peer's */
  async downloadBy(peer: string, url: string, output = peer): Promise<DoneMessage> {
    const client = await LightClient.connect(this.directory.file(`${peer}.light.sock`));
    try {
      return await client.download({ url, output: this.outputOf(output), overwrite: true });
    } finally {
      client.close();
    }
  }

  private namesOf(farm: number): string[] {
    const { peersPerFarm } = this.options;
    return Array.from({ length: peersPerFarm }, (_, index) => `peer-${farm * peersPerFarm + index}`);
  }

  private async startManager(): Promise<void> {
    const { firstPort } = this.ports;
    const [grpc, rest, metrics] = [firstPort, firstPort + 1, firstPort + 2];
    const workHome = this.directory.file('manager');
    mkdirSync(workHome, { recursive: true });
    const config = this.directory.file('manager.yaml');
    // JSON is YAML.
    const settings = {
      server: {
        workHome,
        grpc: { advertiseIP: '127.0.0.1', listenIP: '127.0.0.1', port: { start: grpc, end: grpc } },
        rest: { addr: `127.0.0.1:${rest}` },
      },
      database: { type: 'sqlite', sqlite: { path: path.join(workHome, 'manager.db') }, redis: { addrs: [] } },
      metrics: { enable: true, addr: `127.0.0.1:${metrics}` },
    };
    writeFileSync(config, JSON.stringify(settings));
    const manager = await ChildService.start({
      name: 'manager',
      command: process.execPath,
      args: [path.join(REPOSITORY, 'apps/manager/dist/main.js'), '--config', config, '--console'],
      readyUrl: `http://127.0.0.1:${rest}/readyz`,
      readyTimeoutMs: READY_TIMEOUT_MS,
    });
    this.manager = { address: `127.0.0.1:${grpc}`, process: manager };
  }

  async addScheduler(): Promise<void> {
    const number = this.schedulers.length;
    const port = this.ports.firstPort + MANAGER_PORTS + 2 * number;
    const statusPort = port + 1;
    this.schedulers.push({ port, statusPort, process: await this.launchScheduler(number, port, statusPort) });
  }

  private launchScheduler(
    number: number,
    port: number,
    statusPort: number,
    name = `scheduler-${number}`,
  ): Promise<ChildService> {
    const dataDir = this.directory.file(`scheduler-${number}`);
    mkdirSync(dataDir, { recursive: true });
    const { redis, settings } = this.options;
    return ChildService.start({
      name: `scheduler-${number}`,
      command: process.execPath,
      args: [path.join(REPOSITORY, 'apps/scheduler/dist/main.js'), '--console'],
      env: {
        ...process.env,
        DRAGONFLY_SERVER__LISTEN_I_P: '127.0.0.1',
        DRAGONFLY_SERVER__ADVERTISE_I_P: '127.0.0.1',
        DRAGONFLY_SERVER__PORT: String(port),
        DRAGONFLY_SERVER__HOST: name,
        DRAGONFLY_SERVER__DATA_DIR: dataDir,
        DRAGONFLY_METRICS__ADDR: `127.0.0.1:${statusPort}`,
        ...(redis === undefined ? {} : { DRAGONFLY_DATABASE__REDIS__ADDRS: JSON.stringify([redis]) }),
        ...(this.manager === undefined ? {} : { DRAGONFLY_MANAGER__ADDR: this.manager.address }),
        ...settings,
      },
      readyUrl: `http://127.0.0.1:${statusPort}/readyz`,
      readyTimeoutMs: READY_TIMEOUT_MS,
    });
  }

  private async startFarm(farm: number): Promise<void> {
    const addresses = this.schedulers.map(({ port }) => `127.0.0.1:${port}`);
    const options = {
      directory: this.directory.path,
      names: this.namesOf(farm),
      settings: {
        ...(this.manager === undefined
          ? { DRAGONFLY_SCHEDULER__ADDRS: JSON.stringify(addresses) }
          : { DRAGONFLY_MANAGER__ADDR: `http://${this.manager.address}` }),
        ...this.options.daemonSettings,
      },
    };
    this.farms[farm] = await ChildService.start({
      name: `farm-${farm}`,
      command: process.execPath,
      args: [path.join(path.dirname(fileURLToPath(import.meta.url)), 'peer-farm.ts'), JSON.stringify(options)],
      readyOutput: /^farm is ready$/m,
      readyTimeoutMs: READY_TIMEOUT_MS,
    });
  }
}

/** A file of so many pieces of 4 MiB that the origin sends at this rate, over all connections to one request each. */
export function aFile(origin: CountingOrigin, pieces: number): { readonly url: string; readonly content: Content } {
  const content = new Content(pieces * 4 * MIB);
  return { url: origin.put('/file', { content, bytesPerSecond: 6 * MIB }), content };
}

export function sha256Of(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function timeOf(line: string): string {
  return /"time":"([^"]*)"/.exec(line)?.[1] ?? '';
}
