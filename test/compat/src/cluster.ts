import { mkdirSync, writeFileSync } from 'node:fs';
import { CertificateKeeper } from '@dragonfly/manager-client/certificates';
import { OriginalManager, OriginalScheduler } from '@dragonfly/originals';
import { commonV2, schedulerV2 } from '@dragonfly/proto';
import { type ClientTls, createGrpcClient, unary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { ChildService, CountingOrigin, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { runCommand, type Ended } from './command.js';
import { Daemon, type DaemonSecurity, type DaemonSettings } from './daemon.js';
import { LoopbackNetwork } from './loopback.js';
import { realProgram } from './real-programs.js';
import { REPOSITORY } from './repository.js';

const START_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 5000;
/** Where a manager gives out certificates for tokens, unless told otherwise. */
const JOIN_PORT = 65_009;

type DaemonChoice = Pick<DaemonSettings, 'maker' | 'isSeed' | 'uploadBandwidth' | 'downloadBandwidth'>;

export interface CompatClusterOptions {
  /** @default addresses that nobody else uses */
  readonly network?: LoopbackNetwork;
  /**
   * Puts something in front of the ports of a program, before the program starts.
   * @returns the address that the others are told instead
   */
  readonly inFront?: (program: string, ip: string) => Promise<string>;
  /** mTLS on every link, with certificates of the manager. @default false */
  readonly isSecured?: boolean;
  /** Whose manager and scheduler; those of the original are stand-ins in this process. @default ours */
  readonly manager?: 'ours' | 'original';
  readonly scheduler?: 'ours' | 'original';
  /** `host:port` of a Redis of manager and scheduler. @default none */
  readonly redis?: string;
}

/** Our manager and scheduler as processes, an origin, and daemons of either maker around them. */
export class CompatCluster {
  readonly daemons: Daemon[] = [];
  private readonly network: LoopbackNetwork;
  private readonly inFront: (program: string, ip: string) => Promise<string>;
  private readonly starting: Promise<Daemon>[] = [];
  private readonly services: ChildService[] = [];
  private readonly managerIp: string;
  private readonly schedulerIp: string;
  private client: schedulerV2.SchedulerClient;
  private original: { manager?: OriginalManager; scheduler?: OriginalScheduler } = {};
  private keeper: CertificateKeeper | undefined;
  private downloads = 0;
  private added = 0;

  private constructor(
    private readonly directory: TempDir,
    readonly origin: CountingOrigin,
    private readonly options: CompatClusterOptions,
  ) {
    this.network = options.network ?? new LoopbackNetwork();
    this.inFront = options.inFront ?? ((_program, ip) => Promise.resolve(ip));
    this.managerIp = this.network.next();
    this.schedulerIp = this.network.next();
    this.client = createGrpcClient(schedulerV2.SchedulerClient, `${this.schedulerIp}:8002`);
  }

  /** Resolves when manager and scheduler are ready. */
  static async start(options: CompatClusterOptions = {}): Promise<CompatCluster> {
    const cluster = new CompatCluster(tempDir('compat'), await CountingOrigin.start(), options);
    try {
      await cluster.startServices();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  private async startServices(): Promise<void> {
    const { managerIp, schedulerIp, options } = this;
    const redis = { redis: { addrs: options.redis === undefined ? [] : [options.redis] } };
    if (options.manager === 'original') {
      this.original.manager = await OriginalManager.start({ ip: managerIp, port: 65_003 });
    } else {
      await this.startManager(redis);
    }
    if (options.isSecured === true) await this.joinItself();
    if (options.scheduler === 'original') {
      this.original.scheduler = await OriginalScheduler.start({
        ip: schedulerIp,
        port: 8002,
        hostname: 'compat-scheduler',
        managerAddress: `${managerIp}:65003`,
        // The original looks at seeds every 30 s; nothing else is hurried.
        figures: { seedProbeIntervalMs: 500 },
      });
    } else {
      await this.startScheduler(redis);
    }
  }

  private async startManager(redis: object): Promise<void> {
    const { directory, managerIp, options } = this;
    await this.startService('manager', `http://${managerIp}:8001/readyz`, {
      server: {
        workHome: directory.file('manager'),
        grpc: { advertiseIP: managerIp, listenIP: managerIp, port: { start: 65003, end: 65003 } },
        rest: { addr: `${managerIp}:8080` },
      },
      database: {
        type: 'sqlite',
        sqlite: { path: directory.file('manager', 'manager.db') },
        ...redis,
      },
      job: { outgoing: { allow: ['loopback'] } },
      security: { enable: options.isSecured === true, names: [managerIp] },
      metrics: { enable: true, addr: `${managerIp}:8001` },
    });
  }

  private async startScheduler(redis: object): Promise<void> {
    const { directory, managerIp, schedulerIp } = this;
    const security = await this.newcomer();
    await this.startService('scheduler', `http://${schedulerIp}:8000/readyz`, {
      server: {
        host: 'compat-scheduler',
        advertiseIP: await this.inFront('scheduler', schedulerIp),
        listenIP: schedulerIp,
        advertisePort: 8002,
        port: 8002,
        dataDir: directory.file('scheduler'),
      },
      manager: { addr: `${managerIp}:65003`, schedulerClusterID: 1, keepAlive: { interval: '5s' } },
      database: redis,
      ...(security === undefined
        ? {}
        : { security: { enable: true, joinToken: security.joinToken, joinAddr: security.joinAddress } }),
      // Image registries of the tests are on this machine.
      job: { registry: { allow: ['loopback'] } },
      metrics: { enable: true, addr: `${schedulerIp}:8000` },
    });
  }

  private async startService(name: 'manager' | 'scheduler', readyUrl: string, config: object): Promise<void> {
    mkdirSync(this.directory.file(name));
    const file = this.directory.file(`${name}.yaml`);
    writeFileSync(file, JSON.stringify(config));
    const service = await ChildService.start({
      name,
      command: process.execPath,
      args: [`${REPOSITORY}/apps/${name}/dist/main.js`, '--config', file, '--console'],
      readyUrl,
      readyTimeoutMs: START_TIMEOUT_MS,
    });
    this.services.push(service);
  }

  get managerEndpoint(): { host: string; port: number } {
    return { host: this.managerIp, port: 65003 };
  }

  get schedulerEndpoint(): { host: string; port: number } {
    return { host: this.schedulerIp, port: 8002 };
  }

  /** Starts a daemon and waits until the scheduler knows it and, when it is a seed, has found it usable. */
  async addDaemon(choice: DaemonChoice): Promise<Daemon> {
    this.added += 1;
    const name = `${choice.maker}-${choice.isSeed ? 'seed' : 'peer'}-${this.added}`;
    const directory = this.directory.file(name);
    mkdirSync(directory);
    const ip = this.network.next();
    const announcedIp = await this.inFront(name, ip);
    const managerAddress = `${await this.inFront('manager', this.managerIp)}:65003`;
    const security = await this.newcomer();
    const starting = Daemon.start({ ...choice, name, directory, ip, announcedIp, managerAddress, security });
    this.starting.push(starting);
    const daemon = await starting;
    this.daemons.push(daemon);
    await waitFor(async () => (await this.hosts()).some((host) => host.id === daemon.hostId), {
      what: `${name} to be announced`,
      timeoutMs: START_TIMEOUT_MS,
    });
    const { scheduler } = this.original;
    if (scheduler !== undefined) {
      await waitFor(() => !choice.isSeed || scheduler.isUsable(daemon.hostId), { what: `${name} to be usable` });
      return daemon;
    }
    // The scheduler's own condition: every announced seed has passed its health probe.
    await waitFor(async () => (await fetch(`http://${this.schedulerIp}:8000/readyz`)).ok, {
      what: `${name} to be usable`,
      timeoutMs: START_TIMEOUT_MS,
    });
    return daemon;
  }

  /** Certificates of the test itself; undefined in a cluster without. */
  get tls(): ClientTls | undefined {
    return this.keeper?.clientTls;
  }

  /** @throws Error on every status but 200 */
  async rest<T>(method: string, route: string, body?: object): Promise<T> {
    const base = `http://${this.managerIp}:8080/api/v1`;
    const ask = async (path: string, init: RequestInit): Promise<unknown> => {
      const headers = { 'content-type': 'application/json', ...init.headers };
      const answer = await fetch(`${base}/${path}`, { ...init, headers });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    };
    const signIn = { method: 'POST', body: JSON.stringify({ name: 'root', password: 'dragonfly' }) };
    const { token } = (await ask('users/signin', signIn)) as { token: string };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return (await ask(route, { method, headers: { authorization: `Bearer ${token}` }, ...sent })) as T;
  }

  /** What a further program joins with; undefined in a cluster without certificates. */
  private async newcomer(): Promise<DaemonSecurity | undefined> {
    if (this.options.isSecured !== true) return undefined;
    const { token } = await this.rest<{ token: string }>('POST', 'join-tokens', {});
    return { joinToken: token, joinAddress: `${this.managerIp}:${JOIN_PORT}` };
  }

  private async joinItself(): Promise<void> {
    const security = await this.newcomer();
    if (security === undefined) return;
    this.keeper = await CertificateKeeper.start(
      {
        directory: this.directory.file('certificates'),
        subject: { commonName: 'compat-test', names: ['compat-test'] },
        managerAddress: `${this.managerIp}:65003`,
        ...security,
        log: silentLogger(),
      },
      AbortSignal.timeout(START_TIMEOUT_MS),
    );
    this.client.close();
    this.client = createGrpcClient(schedulerV2.SchedulerClient, `${this.schedulerIp}:8002`, { tls: this.tls });
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

  /** Lines with this message in the logs of manager and scheduler. */
  logged(message: string): Record<string, unknown>[] {
    return this.services
      .map((service) => service.log())
      .join('')
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

  /** Stops everything, also what is still starting. */
  async stop(): Promise<void> {
    this.client.close();
    await this.keeper?.stop();
    // One that is still starting when a test gives up must not be left behind.
    await Promise.allSettled(this.starting);
    await Promise.all(this.daemons.map(async (daemon) => daemon.stop()));
    for (const service of this.services.reverse()) await service.stop();
    await this.original.scheduler?.stop();
    await this.original.manager?.stop();
    await this.origin.close();
    this.directory.remove();
  }
}

export interface Download extends Ended {
  readonly output: string;
}
