import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LightClient } from '@dragonfly/light';
import { ChildService, CountingOrigin, Content, PortBlock, tempDir, type TempDir } from '@dragonfly/testkit';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const IP = '127.0.0.1';
const READY_TIMEOUT_MS = 60_000;
const MIB = 1024 ** 2;
const SCHEDULER_PORTS = 2;
const DAEMON_PORTS = 7;

export interface RealClusterOptions {
  readonly peers: number;
  /** Of every daemon, enforced by its own rate limit. */
  readonly uploadMbit: number;
  /** Of the source, which sends each content once. */
  readonly originMbit: number;
  readonly concurrentPieces: number;
  readonly strategy: string;
}

/** How one host's download went. */
export interface RealDownload {
  readonly seconds: number;
  /** After the first host asked. */
  readonly doneSeconds: number;
  readonly fromSeedBytes: number;
  readonly fromPeersBytes: number;
  readonly fromSourceBytes: number;
}

interface Daemon {
  readonly service: ChildService;
  readonly lightSocket: string;
}

/** A scheduler, a seed and peers as real processes on loopback, their uploads limited. */
export class RealCluster implements AsyncDisposable {
  readonly #directory: TempDir;
  readonly #origin: CountingOrigin;
  readonly #services: ChildService[] = [];
  readonly #peers: Daemon[] = [];
  readonly #ports: PortBlock;
  readonly #originBytesPerSecond: number;
  #usedPorts = 0;
  #round = 0;

  private constructor(directory: TempDir, origin: CountingOrigin, ports: PortBlock, originMbit: number) {
    this.#directory = directory;
    this.#origin = origin;
    this.#ports = ports;
    this.#originBytesPerSecond = bytesPerSecond(originMbit);
  }

  static async start(options: RealClusterOptions): Promise<RealCluster> {
    const ports = await PortBlock.reserve(SCHEDULER_PORTS + DAEMON_PORTS * (options.peers + 1));
    const cluster = new RealCluster(tempDir('sim'), await CountingOrigin.start(), ports, options.originMbit);
    try {
      const scheduler = await cluster.#startScheduler(options.strategy);
      await cluster.#startDaemon('seed-peer', 0, scheduler, options);
      const daemons = Array.from({ length: options.peers }, (_, index) =>
        cluster.#startDaemon('peer', index, scheduler, options),
      );
      cluster.#peers.push(...(await Promise.all(daemons)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Lets every peer download one new content.
   * @param arrivalsMs when each peer begins
   */
  async distribute(sizeMib: number, arrivalsMs: readonly number[]): Promise<RealDownload[]> {
    this.#round += 1;
    const url = this.#origin.put(`/round-${this.#round}.bin`, {
      content: new Content(sizeMib * MIB, this.#round),
      bytesPerSecond: this.#originBytesPerSecond,
    });
    const firstMs = Math.min(...arrivalsMs);
    const beginMs = performance.now() - firstMs;
    return Promise.all(
      this.#peers.map(async ({ lightSocket }, index) => {
        const client = await LightClient.connect(lightSocket);
        try {
          const atMs = beginMs + (arrivalsMs[index] ?? 0);
          await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
          const askedMs = performance.now();
          const { traffic } = await client.download({ url, pieceLength: 4 * MIB, schedulingPolicy: 'always' });
          const doneMs = performance.now();
          return {
            seconds: (doneMs - askedMs) / 1000,
            doneSeconds: (doneMs - beginMs - firstMs) / 1000,
            fromSeedBytes: traffic.fromSeed,
            fromPeersBytes: traffic.fromPeers,
            fromSourceBytes: traffic.fromSource,
          };
        } finally {
          client.close();
        }
      }),
    );
  }

  /** Body bytes that the source has sent, of all rounds. */
  get sourceBytes(): number {
    return this.#origin.bodyBytesSent();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Daemons first: they say goodbye to the scheduler.
    for (const service of this.#services.toReversed()) await service.stop();
    await this.#origin.close();
    this.#directory.remove();
    await this.#ports.release();
  }

  #takePorts(count: number): number[] {
    const first = this.#ports.firstPort + this.#usedPorts;
    this.#usedPorts += count;
    return Array.from({ length: count }, (_, index) => first + index);
  }

  /** @returns its address */
  async #startScheduler(strategy: string): Promise<string> {
    const [port = 0, statusPort = 0] = this.#takePorts(SCHEDULER_PORTS);
    await this.#start('scheduler', 'scheduler', `http://${IP}:${statusPort}/readyz`, {
      server: { advertiseIP: IP, listenIP: IP, port, host: 'validated', dataDir: this.#directory.file('scheduler') },
      scheduler: { algorithm: strategy },
      database: { redis: { addrs: [] } },
      metrics: { enable: true, addr: `${IP}:${statusPort}` },
    });
    return `${IP}:${port}`;
  }

  async #startDaemon(
    role: 'peer' | 'seed-peer',
    index: number,
    scheduler: string,
    options: RealClusterOptions,
  ): Promise<Daemon> {
    const name = `${role}-${index}`;
    const socket = this.#directory.file(`${name}.sock`);
    const [grpc, proxy, piece, quic, health, metrics, stats] = this.#takePorts(DAEMON_PORTS);
    const bandwidthLimit = `${bytesPerSecond(options.uploadMbit)}`;
    const service = await this.#start(name, role, `http://${IP}:${health}/readyz`, {
      host: { hostname: `validated-${name}`, ip: IP, idc: 'a', location: role === 'peer' ? 'a|a-r0' : 'a|core' },
      server: { cacheDir: this.#directory.file(`${name}-cache`), pluginDir: this.#directory.file(`${name}-plugins`) },
      download: { server: { socketPath: socket }, concurrentPieceCount: options.concurrentPieces },
      upload: { server: { ip: IP, port: grpc }, bandwidthLimit },
      scheduler: { addrs: [scheduler] },
      seedPeer: { enable: role === 'seed-peer' },
      storage: { dir: this.#directory.file(`${name}-store`), server: { ip: IP, tcpPort: piece, quicPort: quic } },
      proxy: { server: { ip: IP, port: proxy } },
      health: { server: { ip: IP, port: health } },
      metrics: { server: { ip: IP, port: metrics } },
      stats: { server: { ip: IP, port: stats } },
    });
    return { service, lightSocket: socket.replace(/\.sock$/, '.light.sock') };
  }

  async #start(name: string, app: string, readyUrl: string, config: object): Promise<ChildService> {
    const file = this.#directory.file(`${name}.yaml`);
    writeFileSync(file, JSON.stringify(config));
    const service = await ChildService.start({
      name,
      command: process.execPath,
      args: [`${ROOT}apps/${app}/dist/main.js`, '--config', file, '--console'],
      readyUrl,
      readyTimeoutMs: READY_TIMEOUT_MS,
    });
    this.#services.push(service);
    return service;
  }
}

function bytesPerSecond(mbit: number): number {
  return Math.round((mbit * 1e6) / 8);
}
