import { mkdirSync, writeFileSync } from 'node:fs';
import { dfdaemonV2 } from '@dragonfly/proto';
import { createGrpcClient, readStream, unary } from '@dragonfly/rpc';
import { ChildService } from '@dragonfly/testkit';
import { realProgram } from './real-programs.js';
import { REPOSITORY } from './repository.js';

const START_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 5000;

/** Where a daemon got bytes from, as its metric `download_traffic` counts them. */
export interface Traffic {
  readonly fromSource: number;
  readonly fromPeers: number;
}

export interface DaemonSettings {
  /** Host name; the host id is made of it and the address. */
  readonly name: string;
  readonly ip: string;
  /** Address that others are told; something that stands in front of the daemon. @default ip */
  readonly announcedIp?: string | undefined;
  readonly isSeed: boolean;
  /** `real` is the Rust dfdaemon, `ours` the peer or seed peer of this repository. */
  readonly maker: 'real' | 'ours';
  readonly managerAddress: string;
  /** Its own, existing. */
  readonly directory: string;
  /** Bound of what it serves to others, e.g. `4MiB`. */
  readonly uploadBandwidth?: string | undefined;
  /** Bound of what it fetches, from anywhere. */
  readonly downloadBandwidth?: string | undefined;
}

/** A running daemon, theirs or ours: both read the same configuration and answer the same questions. */
export class Daemon {
  private constructor(
    private readonly settings: DaemonSettings,
    private readonly service: ChildService,
  ) {}

  static async start(settings: DaemonSettings): Promise<Daemon> {
    const { name, ip, maker, isSeed, directory } = settings;
    const configFile = `${directory}/dfdaemon.yaml`;
    mkdirSync(`${directory}/store`, { recursive: true });
    writeFileSync(configFile, configOf(settings));
    const [command, args] =
      maker === 'real'
        ? [realProgram('dfdaemon'), ['--log-dir', `${directory}/log`, '--log-level', 'warn']]
        : [process.execPath, [`${REPOSITORY}/apps/${isSeed ? 'seed-peer' : 'peer'}/dist/main.js`]];
    const service = await ChildService.start({
      name,
      command,
      args: [...args, '--config', configFile, '--console'],
      // Both answer 200 when they serve; ours tells more of what must hold under another path.
      readyUrl: `http://${ip}:4003/${maker === 'real' ? 'healthy' : 'readyz'}`,
      readyTimeoutMs: START_TIMEOUT_MS,
    });
    return new Daemon(settings, service);
  }

  get hostId(): string {
    const { ip, announcedIp = ip, name, isSeed } = this.settings;
    return `${announcedIp}-${name}${isSeed ? '-seed' : ''}`;
  }

  get name(): string {
    return this.settings.name;
  }

  get ip(): string {
    return this.settings.ip;
  }

  get isSeed(): boolean {
    return this.settings.isSeed;
  }

  get socket(): string {
    return socketOf(this.settings.directory);
  }

  log(): string {
    return this.service.log();
  }

  async traffic(): Promise<Traffic> {
    const response = await fetch(`http://${this.ip}:4002/metrics`, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
    const metrics = await response.text();
    const count = (type: string): number =>
      Number(new RegExp(`^dragonfly_client_download_traffic{type="${type}"} (\\S+)$`, 'm').exec(metrics)?.[1] ?? 0);
    return { fromSource: count('BACK_TO_SOURCE'), fromPeers: count('REMOTE_PEER') };
  }

  /** What it stores, asked over its unix socket. */
  async localTasks(): Promise<dfdaemonV2.StatLocalTaskResponse[]> {
    const client = createGrpcClient(dfdaemonV2.DfdaemonDownloadClient, `unix:${this.socket}`);
    try {
      const { tasks } = await unary(client.listLocalTasks.bind(client), {}, { deadlineMs: CALL_TIMEOUT_MS });
      return tasks;
    } finally {
      client.close();
    }
  }

  /** Asks for a download as a scheduler does, on the port for other machines. @returns the messages of the answer */
  async trigger(url: string): Promise<dfdaemonV2.DownloadTaskResponse[]> {
    const client = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, `${this.ip}:4000`);
    try {
      const request = dfdaemonV2.DownloadTaskRequest.fromPartial({ download: { url, needBackToSource: true } });
      const messages = [];
      for await (const message of readStream(client.downloadTask(request), { idleTimeoutMs: CALL_TIMEOUT_MS })) {
        messages.push(message);
      }
      return messages;
    } finally {
      client.close();
    }
  }

  /** @returns its exit status */
  async stop(): Promise<number | null> {
    return this.service.stop();
  }

  async kill(): Promise<void> {
    await this.service.kill('SIGKILL');
  }
}

function socketOf(directory: string): string {
  return `${directory}/dfdaemon.sock`;
}

function configOf(settings: DaemonSettings): string {
  const { name, ip, isSeed, directory, uploadBandwidth, downloadBandwidth } = settings;
  const optional = (key: string, value: string | undefined): object => (value === undefined ? {} : { [key]: value });
  // JSON is YAML, too.
  return JSON.stringify({
    host: { hostname: name, ip: settings.announcedIp ?? ip },
    server: { pluginDir: `${directory}/plugins`, cacheDir: `${directory}/cache` },
    download: { server: { socketPath: socketOf(directory) }, ...optional('bandwidthLimit', downloadBandwidth) },
    upload: { server: { ip, port: 4000 }, ...optional('bandwidthLimit', uploadBandwidth) },
    manager: { addr: `http://${settings.managerAddress}` },
    seedPeer: { enable: isSeed, type: 'super' },
    storage: { dir: `${directory}/store`, server: { ip, tcpPort: 4005, quicPort: 4006 } },
    proxy: { server: { ip, port: 4001 } },
    health: { server: { ip, port: 4003 } },
    metrics: { server: { ip, port: 4002 } },
    stats: { server: { ip, port: 4004 } },
  });
}
