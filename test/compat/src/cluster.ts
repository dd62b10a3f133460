import { mkdirSync, writeFileSync } from 'node:fs';
import { commonV2, schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { ChildService, CountingOrigin, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { runCommand, type Ended } from './command.js';
import { Daemon, type DaemonSettings } from './daemon.js';
import { LoopbackNetwork } from './loopback.js';
import { realProgram } from './real-programs.js';
import { REPOSITORY } from './repository.js';

const START_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 5000;

type DaemonChoice = Pick<DaemonSettings, 'maker' | 'isSeed' | 'uploadBandwidth' | 'downloadBandwidth'>;

/** Our manager and scheduler as processes, an origin, and daemons of either maker around them. */
export class CompatCluster {
  readonly daemons: Daemon[] = [];
  private readonly starting: Promise<Daemon>[] = [];
  private downloads = 0;

  private constructor(
    private readonly directory: TempDir,
    private readonly network: LoopbackNetwork,
    readonly origin: CountingOrigin,
    private readonly manager: ChildService,
    private readonly managerAddress: string,
    readonly scheduler: ChildService,
    private readonly schedulerIp: string,
    readonly client: schedulerV2.SchedulerClient,
  ) {}

  static async start(): Promise<CompatCluster> {
    const directory = tempDir('compat');
    const network = new LoopbackNetwork();
    const [managerIp, schedulerIp] = [network.next(), network.next()];
    const origin = await CountingOrigin.start();
    const manager = await startService(directory, 'manager', `http://${managerIp}:8001/readyz`, {
      server: {
        workHome: directory.file('manager'),
        grpc: { advertiseIP: managerIp, listenIP: managerIp, port: { start: 65003, end: 65003 } },
        rest: { addr: `${managerIp}:8080` },
      },
      database: {
        type: 'sqlite',
        sqlite: { path: directory.file('manager', 'manager.db') },
        redis: { addrs: [] },
      },
      metrics: { enable: true, addr: `${managerIp}:8001` },
    });
    const scheduler = await startService(directory, 'scheduler', `http://${schedulerIp}:8000/readyz`, {
      server: {
        host: 'compat-scheduler',
        advertiseIP: schedulerIp,
        listenIP: schedulerIp,
        advertisePort: 8002,
        port: 8002,
        dataDir: directory.file('scheduler'),
      },
      manager: { addr: `${managerIp}:65003`, schedulerClusterID: 1, keepAlive: { interval: '5s' } },
      database: { redis: { addrs: [] } },
      metrics: { enable: true, addr: `${schedulerIp}:8000` },
    });
    return new CompatCluster(
      directory,
      network,
      origin,
      manager,
      `${managerIp}:65003`,
      scheduler,
      schedulerIp,
      createGrpcClient(schedulerV2.SchedulerClient, `${schedulerIp}:8002`),
    );
  }

  /** Starts a daemon and waits until the scheduler knows it and, when it is a seed, has found it usable. */
  async addDaemon(choice: DaemonChoice): Promise<Daemon> {
    const name = `${choice.maker}-${choice.isSeed ? 'seed' : 'peer'}-${this.starting.length + 1}`;
    const directory = this.directory.file(name);
    mkdirSync(directory);
    const { managerAddress } = this;
    const starting = Daemon.start({ ...choice, name, directory, ip: this.network.next(), managerAddress });
    this.starting.push(starting);
    const daemon = await starting;
    this.daemons.push(daemon);
    await waitFor(async () => (await this.hosts()).some((host) => host.id === daemon.hostId), {
      what: `${name} to be announced`,
      timeoutMs: START_TIMEOUT_MS,
    });
    // The scheduler's own condition: every announced seed has passed its health probe.
    await waitFor(async () => (await fetch(`http://${this.schedulerIp}:8000/readyz`)).ok, {
      what: `${name} to be usable`,
      timeoutMs: START_TIMEOUT_MS,
    });
    return daemon;
  }

  async hosts(): Promise<commonV2.Host[]> {
    const { hosts } = await unary(this.client.listHosts.bind(this.client), {}, { deadlineMs: CALL_TIMEOUT_MS });
    return hosts;
  }

  async statTask(taskId: string): Promise<commonV2.Task> {
    return unary(
      this.client.statTask.bind(this.client),
      { hostId: 'compat-test', taskId },
      { deadlineMs: CALL_TIMEOUT_MS },
    );
  }

  /** Lines of the scheduler's log with this message. */
  schedulerLog(message: string): Record<string, unknown>[] {
    return this.scheduler
      .log()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === message);
  }

  /** A path for an output, used by nobody yet. */
  newOutput(): string {
    this.downloads += 1;
    return this.directory.file(`output-${this.downloads}`);
  }

  /** The real dfget, over the gRPC socket of a daemon. */
  async realDfget(daemon: Daemon, url: string, ...flags: string[]): Promise<Download> {
    const output = this.newOutput();
    const args = [url, '--output', output, '--endpoint', daemon.socket, '--no-progress', ...flags];
    return { output, ...(await runCommand(realProgram('dfget'), args)) };
  }

  /** Our dfget. */
  async ourDfget(daemon: Daemon, url: string, ...flags: string[]): Promise<Download> {
    const output = this.newOutput();
    const args = [url, '--output', output, '--endpoint', daemon.socket, '--no-daemon'];
    return { output, ...(await runCommand(`${REPOSITORY}/bin/dfget`, [...args, ...flags])) };
  }

  async stop(): Promise<void> {
    this.client.close();
    // One that is still starting when a test gives up must not be left behind.
    await Promise.allSettled(this.starting);
    await Promise.all(this.daemons.map(async (daemon) => daemon.stop()));
    await this.scheduler.stop();
    await this.manager.stop();
    await this.origin.close();
    this.directory.remove();
  }
}

export interface Download extends Ended {
  readonly output: string;
}

async function startService(
  directory: TempDir,
  name: 'manager' | 'scheduler',
  readyUrl: string,
  config: object,
): Promise<ChildService> {
  mkdirSync(directory.file(name));
  const file = directory.file(`${name}.yaml`);
  writeFileSync(file, JSON.stringify(config));
  return ChildService.start({
    name,
    command: process.execPath,
    args: [`${REPOSITORY}/apps/${name}/dist/main.js`, '--config', file, '--console'],
    readyUrl,
    readyTimeoutMs: START_TIMEOUT_MS,
  });
}
