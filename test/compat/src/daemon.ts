import { mkdirSync, writeFileSync } from 'node:fs';
import { CertificateKeeper } from '@dragonfly/manager-client/certificates';
import { dfdaemonV2 } from '@dragonfly/proto';
import { type CertificateFiles, createGrpcClient, readStream, unary } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
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
  /** What joins a cluster with mTLS; a real daemon gets its certificates with it by the hand of the test. */
  readonly security?: DaemonSecurity | undefined;
  /** Its own, existing. */
  readonly directory: string;
  /** Bound of what it serves to others, e.g. `4MiB`. */
  readonly uploadBandwidth?: string | undefined;
  /** Bound of what it fetches, from anywhere. */
  readonly downloadBandwidth?: string | undefined;
}

export interface DaemonSecurity {
  /** Good for one machine. */
  readonly joinToken: string;
  /** `host:port` */
  readonly joinAddress: string;
}

/** A running daemon, theirs or ours: both read the same configuration and answer the same questions. */
export class Daemon {
  private constructor(
    private readonly settings: DaemonSettings,
    private readonly service: ChildService,
  ) {}

  /** Where its certificates are, in a cluster that has some. */
  get certificates(): CertificateFiles {
    return certificateFiles(this.settings);
  }

  static async start(settings: DaemonSettings): Promise<Daemon> {
    const { name, ip, maker, isSeed, directory } = settings;
    const configFile = `${directory}/dfdaemon.yaml`;
    mkdirSync(`${directory}/store`, { recursive: true });
    if (settings.security !== undefined && maker === 'real') await fetchCertificates(settings, settings.security);
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

function certificateDirectory({ directory }: DaemonSettings): string {
  return `${directory}/certificates`;
}

function certificateFiles(settings: DaemonSettings): CertificateFiles {
  const directory = certificateDirectory(settings);
  return {
    certificateFile: `${directory}/tls.crt`,
    keyFile: `${directory}/tls.key`,
    caFile: `${directory}/ca.crt`,
  };
}

/** Joins in the name of a program that cannot. */
async function fetchCertificates(settings: DaemonSettings, security: DaemonSecurity): Promise<void> {
  const keeper = await CertificateKeeper.start(
    {
      directory: certificateDirectory(settings),
      subject: { commonName: 'peer', names: [settings.ip, settings.name] },
      managerAddress: settings.managerAddress,
      ...security,
      log: silentLogger(),
    },
    AbortSignal.timeout(START_TIMEOUT_MS),
  );
  await keeper.stop();
}

function configOf(settings: DaemonSettings): string {
  const { name, ip, isSeed, directory, uploadBandwidth, downloadBandwidth, maker, security } = settings;
  // A real daemon has keys of its own for each link; ours has one switch.
  const { caFile: caCert, certificateFile: cert, keyFile: key } = certificateFiles(settings);
  const links = security !== undefined && maker === 'real' ? { caCert, cert, key } : {};
  const optional = (key: string, value: string | undefined): object => (value === undefined ? {} : { [key]: value });
  // JSON is YAML, too.
  return JSON.stringify({
    host: { hostname: name, ip: settings.announcedIp ?? ip },
    server: { pluginDir: `${directory}/plugins`, cacheDir: `${directory}/cache` },
    download: { server: { socketPath: socketOf(directory) }, ...optional('bandwidthLimit', downloadBandwidth) },
    upload: { server: { ip, port: 4000, ...links }, client: links, ...optional('bandwidthLimit', uploadBandwidth) },
    manager: { addr: `${maker === 'real' && security ? 'https' : 'http'}://${settings.managerAddress}`, ...links },
    scheduler: links,
    ...(security !== undefined && maker === 'ours'
      ? {
          security: {
            enable: true,
            joinToken: security.joinToken,
            joinAddr: security.joinAddress,
            directory: certificateDirectory(settings),
          },
        }
      : {}),
    seedPeer: { enable: isSeed, type: 'super' },
    storage: { dir: `${directory}/store`, server: { ip, tcpPort: 4005, quicPort: 4006 } },
    proxy: { server: { ip, port: 4001 } },
    health: { server: { ip, port: 4003 } },
    metrics: { server: { ip, port: 4002 } },
    stats: { server: { ip, port: 4004 } },
  });
}
