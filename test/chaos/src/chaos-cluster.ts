import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LightClient } from '@dragonfly/light';
import {
  ChildService,
  Command,
  CountingOrigin,
  PortBlock,
  tempDir,
  waitFor,
  type Ended,
  type TempDir,
} from '@dragonfly/testkit';
import {
  configOf,
  grpcPort,
  mergeSettings,
  piecePort,
  PORTS_PER_SERVICE,
  socketOf,
  statusPort,
  storeOf,
  type DaemonName,
  type Place,
  type ServiceName,
  type Settings,
} from './cluster-config.js';
import { piecesInStore, type StoredPieces } from './daemon-store.js';
import { hasEnded } from './process-figures.js';

const REPOSITORY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const READY_TIMEOUT_MS = 120_000;
/** Of a hook that calls {@link ChaosCluster.restore}: everything not ready, and not ready again after a new start. */
export const RESTORE_TIMEOUT_MS = 2 * READY_TIMEOUT_MS + 30_000;
/** Characters of each log that a failure shows. */
const LOG_TAIL = 3000;
/** Directory for the logs of every service, to find out why a test fails; they are at debug level then. */
const LOG_DIRECTORY = process.env['DRAGONFLY_CHAOS_LOGS'];
const LOG_FLAGS = LOG_DIRECTORY === undefined ? [] : ['--log-level', 'debug'];

export interface ChaosClusterOptions {
  readonly peers: number;
  /** Laid over the usual configuration of a service. */
  readonly settings?: Readonly<Partial<Record<ServiceName, Settings>>>;
  /** Flags of Node for every service. */
  readonly nodeFlags?: readonly string[];
  /** Services that are not started with the others. */
  readonly without?: readonly ServiceName[];
}

/** What `dfget --report` writes; all figures in bytes but the cost. */
export interface DownloadReport {
  readonly taskId: string;
  readonly contentLength: number;
  readonly costMs: number;
  readonly traffic: { readonly source: number; readonly seed: number; readonly peers: number; readonly local: number };
}

export interface Download extends Ended {
  /** Path of the file that was asked for; its directory holds nothing else that was there before. */
  readonly output: string;
  /** Absent when dfget failed, or fetched from the source by itself. */
  readonly report?: DownloadReport;
}

/** A dfget at work. */
export interface RunningDownload {
  readonly output: string;
  readonly ended: Promise<Download>;
  kill(): void;
}

/** A manager, a scheduler, a seed peer and peers as real processes that can be killed and started again, and an origin. */
export class ChaosCluster {
  private readonly services = new Map<ServiceName, ChildService>();
  private readonly running = new Map<Command, Promise<Download>>();
  private readonly paused = new Set<ServiceName>();
  /** Services that run with other settings than those of the cluster. */
  private readonly changed = new Set<ServiceName>();
  private downloads = 0;

  private constructor(
    readonly origin: CountingOrigin,
    private readonly directory: TempDir,
    private readonly ports: PortBlock,
    private readonly names: readonly ServiceName[],
    private readonly settings: Readonly<Partial<Record<ServiceName, Settings>>>,
    private readonly nodeFlags: readonly string[],
  ) {}

  /** Starts everything at once and waits until all of it is ready. */
  static async start(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const peers = Array.from({ length: options.peers }, (_, index): DaemonName => `peer-${index + 1}`);
    const names: ServiceName[] = ['manager', 'scheduler', 'seed', ...peers];
    const cluster = new ChaosCluster(
      await CountingOrigin.start(),
      tempDir('chaos'),
      await PortBlock.reserve(names.length * PORTS_PER_SERVICE),
      names,
      options.settings ?? {},
      options.nodeFlags ?? [],
    );
    try {
      await cluster.startAll(names.filter((name) => !options.without?.includes(name)));
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  /**
   * Back to the state in which every service runs as it was configured and all are ready, whatever the last test left:
   * before each test, so that none depends on how another one ended.
   * @param idle services that shall not run
   */
  async restore({ idle = [] }: { readonly idle?: readonly ServiceName[] } = {}): Promise<void> {
    await this.endDownloads();
    for (const name of [...this.paused]) this.resume(name);
    await this.endStrangers();
    const stopping = [...new Set([...this.changed, ...idle])].filter((name) => this.isRunning(name));
    await Promise.all(stopping.map((name) => this.kill(name)));
    const wanted = this.names.filter((name) => !idle.includes(name));
    await Promise.all(wanted.filter((name) => !this.isRunning(name)).map((name) => this.launch(name)));
    const results = await Promise.allSettled(wanted.map((name) => this.whenReady(name)));
    const stuck = wanted.filter((_, index) => results[index]?.status === 'rejected');
    if (stuck.length === 0) return;
    // One new start for what does not recover by itself; a test that is about recovering has waited for it itself.
    process.stderr.write(`restarted between two tests, as not ready: ${stuck.join(', ')}\n`);
    await Promise.all(stuck.map((name) => this.kill(name)));
    await this.startAll(stuck);
    await Promise.all(wanted.map((name) => this.whenReady(name)));
  }

  /** Starts services side by side; each is waited for. */
  async startAll(names: readonly ServiceName[]): Promise<void> {
    await Promise.all(names.map((name) => this.launch(name)));
    await Promise.all(names.map((name) => this.whenReady(name)));
  }

  /** Starts the process of a service without waiting for more than that. */
  async launch(name: ServiceName, changes: Settings = {}): Promise<void> {
    if (this.isRunning(name)) throw new Error(`${name} runs already`);
    this.changed.delete(name);
    if (Object.keys(changes).length > 0) this.changed.add(name);
    const place = this.place(name);
    mkdirSync(place.directory, { recursive: true });
    const base = configOf(name, place, { managerGrpc: `127.0.0.1:${grpcPort(this.place('manager'))}` });
    const config = path.join(place.directory, 'config.yaml');
    writeFileSync(config, JSON.stringify(mergeSettings(mergeSettings(base, this.settings[name] ?? {}), changes)));
    const app = name === 'seed' ? 'seed-peer' : name.startsWith('peer-') ? 'peer' : name;
    const service = await ChildService.start({
      name,
      command: process.execPath,
      args: [
        ...this.nodeFlags,
        path.join(REPOSITORY, 'apps', app, 'dist/main.js'),
        '--config',
        config,
        '--console',
        ...LOG_FLAGS,
      ],
    });
    this.keepLog(name);
    this.services.set(name, service);
  }

  /** Waits until a running service says that it is ready. */
  async whenReady(name: ServiceName): Promise<void> {
    const url = `http://127.0.0.1:${statusPort(this.place(name))}/readyz`;
    let answer = 'no answer';
    try {
      await waitFor(
        async () => {
          if (this.service(name).exitCode !== undefined) return true;
          const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
          answer = await response.text();
          return response.ok;
        },
        { what: `${name} to be ready`, timeoutMs: READY_TIMEOUT_MS, intervalMs: 50 },
      );
    } catch (error) {
      throw new Error(`${name} is not ready: ${answer}\n${this.service(name).log()}`, { cause: error });
    }
    const { exitCode } = this.service(name);
    if (exitCode !== undefined) throw new Error(`${name} has ended (${exitCode}):\n${this.service(name).log()}`);
  }

  /** Waits until everything that runs knows everything else again. */
  async allReady(): Promise<void> {
    await Promise.all(this.names.filter((name) => this.isRunning(name)).map((name) => this.whenReady(name)));
  }

  /** Starts what was killed and waits until it is ready. */
  async restart(name: ServiceName, changes: Settings = {}): Promise<void> {
    await this.launch(name, changes);
    await this.whenReady(name);
  }

  /** kill -9, and waits until the process is gone. */
  async kill(name: ServiceName): Promise<void> {
    await this.service(name).kill('SIGKILL');
  }

  /** The process stands still: it keeps its connections, accepts new ones and answers nothing. */
  pause(name: ServiceName): void {
    this.paused.add(name);
    process.kill(this.service(name).pid, 'SIGSTOP');
  }

  resume(name: ServiceName): void {
    this.paused.delete(name);
    process.kill(this.service(name).pid, 'SIGCONT');
  }

  /** `/readyz` of a service as it answers now. */
  async readiness(name: ServiceName): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${statusPort(this.place(name))}/readyz`, {
      signal: AbortSignal.timeout(5000),
    });
    return { status: response.status, text: await response.text() };
  }

  isRunning(name: ServiceName): boolean {
    const service = this.services.get(name);
    return service !== undefined && service.exitCode === undefined;
  }

  grpcAddress(name: ServiceName): string {
    return `127.0.0.1:${grpcPort(this.place(name))}`;
  }

  pid(name: ServiceName): number {
    return this.service(name).pid;
  }

  log(name: ServiceName): string {
    return this.service(name).log();
  }

  piecePort(name: DaemonName): number {
    return piecePort(this.place(name));
  }

  lightSocket(name: DaemonName): string {
    return this.socket(name).replace(/\.sock$/, '.light.sock');
  }

  socket(name: DaemonName): string {
    return socketOf(this.place(name));
  }

  store(name: DaemonName): string {
    return storeOf(this.place(name));
  }

  /** What a daemon's store has of a URL, by its journal. */
  pieces(name: DaemonName, url: string): StoredPieces {
    return piecesInStore(this.store(name), url);
  }

  /** Waits until a daemon has finished so many pieces of a URL, and not all. */
  async whenPieces(name: DaemonName, url: string, count: number): Promise<void> {
    await this.whenStored(name, url, `${count} pieces`, ({ numbers }) => numbers.length >= count);
  }

  /** Waits until a daemon has finished these pieces of a URL, and not all. */
  async whenHas(name: DaemonName, url: string, wanted: readonly number[]): Promise<void> {
    await this.whenStored(name, url, `pieces ${wanted.join(', ')}`, ({ numbers }) =>
      wanted.every((number) => numbers.includes(number)),
    );
  }

  private async whenStored(
    name: DaemonName,
    url: string,
    what: string,
    isEnough: (pieces: StoredPieces) => boolean,
  ): Promise<void> {
    const stored = await waitFor(
      () => {
        const pieces = this.pieces(name, url);
        return isEnough(pieces) && pieces;
      },
      { what: `${what} at ${name}`, timeoutMs: 30_000, intervalMs: 10 },
    ).catch((error: unknown) => {
      const logs = [...this.services.keys()].map((service) => `${service}:\n${this.log(service).slice(-LOG_TAIL)}`);
      throw new Error(`${name} did not get ${what}\n${logs.join('\n')}`, { cause: error });
    });
    if (stored.isComplete) throw new Error(`${name} was complete before the test could act: the download is too fast`);
  }

  /** A directory of its own for one output. */
  scratch(): string {
    this.downloads += 1;
    const directory = this.directory.file(`out-${this.downloads}`);
    mkdirSync(directory);
    return directory;
  }

  /** Starts `dfget URL -O FILE`; flags may name another output. */
  begin(url: string, peer: DaemonName, ...flags: string[]): RunningDownload {
    return this.beginAt(path.join(this.scratch(), 'file'), url, peer, ...flags);
  }

  beginAt(output: string, url: string, peer: DaemonName, ...flags: string[]): RunningDownload {
    return this.startDfget(output, [url, '-O', output, '--endpoint', this.socket(peer), '--no-daemon', ...flags]);
  }

  /** The same as `begin`, but for that dfget may start a daemon in the place of the peer. */
  beginStarting(url: string, peer: DaemonName): RunningDownload {
    const output = path.join(this.scratch(), 'file');
    const config = path.join(this.place(peer).directory, 'config.yaml');
    return this.startDfget(output, [url, '-O', output, '--endpoint', this.socket(peer), '--config', config]);
  }

  private startDfget(output: string, args: readonly string[]): RunningDownload {
    this.downloads += 1;
    const reportFile = this.directory.file(`report-${this.downloads}.json`);
    const command = Command.start(path.join(REPOSITORY, 'bin/dfget'), [...args, '--report', reportFile], {
      // No configuration of this account, no cluster of this working copy.
      env: { ...process.env, HOME: this.directory.path, DRAGONFLY_HOME: this.directory.file('none') },
    });
    const ended = command.ended.then((end): Download => {
      this.running.delete(command);
      if (!existsSync(reportFile)) return { ...end, output };
      return { ...end, output, report: JSON.parse(readFileSync(reportFile, 'utf8')) as DownloadReport };
    });
    this.running.set(command, ended);
    return { output, ended, kill: () => command.kill('SIGKILL') };
  }

  async download(url: string, peer: DaemonName, ...flags: string[]): Promise<Download> {
    return this.begin(url, peer, ...flags).ended;
  }

  /** Ends every process and removes every file. */
  async destroy(): Promise<void> {
    await this.endDownloads();
    await Promise.all([...this.services.values()].map((service) => service.kill('SIGKILL')));
    await this.endStrangers();
    for (const name of this.services.keys()) this.keepLog(name);
    await this.origin.close();
    this.directory.remove();
    await this.ports.release();
  }

  private async endDownloads(): Promise<void> {
    for (const command of this.running.keys()) command.kill('SIGKILL');
    await Promise.all(this.running.values());
  }

  /** Ends daemons that dfget has started in the place of a peer. */
  private async endStrangers(): Promise<void> {
    for (const name of this.names) {
      if (name === 'manager' || name === 'scheduler' || this.isRunning(name)) continue;
      const client = await LightClient.connect(this.lightSocket(name)).catch(() => undefined);
      if (client === undefined) continue;
      const { pid } = await client.hello();
      client.close();
      process.kill(pid, 'SIGKILL');
      await waitFor(() => hasEnded(pid), { what: `the daemon in the place of ${name} to end` });
    }
  }

  private keepLog(name: ServiceName): void {
    const log = this.services.get(name)?.log();
    if (LOG_DIRECTORY !== undefined && log !== undefined) appendFileSync(path.join(LOG_DIRECTORY, `${name}.log`), log);
  }

  private place(name: ServiceName): Place {
    return {
      directory: this.directory.file(name),
      firstPort: this.ports.firstPort + this.names.indexOf(name) * PORTS_PER_SERVICE,
    };
  }

  private service(name: ServiceName): ChildService {
    const service = this.services.get(name);
    if (service === undefined) throw new Error(`${name} was never started`);
    return service;
  }
}

/** Names in the directory of an output. */
export function besideOutput({ output }: { readonly output: string }): string[] {
  return readdirSync(path.dirname(output));
}
