import { DfError } from '@dragonfly/errors';
import { StathatRing } from '@dragonfly/hashring';
import { type commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { createGrpcClient, hostPort, readStream } from '@dragonfly/rpc';
import type { OriginalFigures } from './figures.js';
import type { HostRow, Resources } from './resources.js';

const HEALTH_PATH = '/grpc.health.v1.Health/Check';
const SERVING = Buffer.from([0x08, 0x01]);

/** `host.ip:host.port`, the member of the ring and where it is reached. */
export function addressOf({ ip, port }: commonV2.Host): string {
  return hostPort(ip, port);
}

/** The seeds that were healthy when they were last looked at, and asking them. */
export class Seeds {
  private ring = new StathatRing([]);
  private healthy = new Map<string, HostRow>();
  private readonly timer: NodeJS.Timeout;
  private readonly stopped = new AbortController();

  constructor(
    private readonly resources: Resources,
    private readonly figures: OriginalFigures,
  ) {
    this.timer = setInterval(() => void this.refresh(), figures.seedProbeIntervalMs).unref();
  }

  get hasHealthy(): boolean {
    return this.healthy.size > 0;
  }

  isHealthy(hostId: string): boolean {
    return [...this.healthy.values()].some(({ host }) => host.id === hostId);
  }

  ownerOf(taskId: string): HostRow | undefined {
    const address = this.ring.get(taskId);
    return address === undefined ? undefined : this.healthy.get(address);
  }

  /** Looks at every seed now; the original does so at its intervals only. */
  async refresh(): Promise<void> {
    const seeds = [...this.resources.hosts.values()].filter(({ isSeed }) => isSeed);
    const states = await Promise.all(seeds.map((seed) => this.isServing(addressOf(seed.host))));
    const healthy = seeds.filter((_, index) => states[index]);
    this.healthy = new Map(healthy.map((seed) => [addressOf(seed.host), seed]));
    this.ring = new StathatRing(this.healthy.keys());
  }

  /** In the background; what comes of it is not looked at. */
  trigger(taskId: string, download: commonV2.Download): void {
    const seed = this.ownerOf(taskId);
    if (seed === undefined) return;
    const asked: commonV2.Download = { ...download, needBackToSource: true, outputPath: undefined };
    this.download(seed.host, asked, this.stopped.signal).catch(() => undefined); // the original drops it as well
  }

  /** A download at a host, to the end of its stream. */
  async download(host: commonV2.Host, download: commonV2.Download, signal: AbortSignal): Promise<void> {
    const client = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, addressOf(host));
    try {
      const call = client.downloadTask(dfdaemonV2.DownloadTaskRequest.fromPartial({ download }));
      const messages = readStream(call, { signal: AbortSignal.any([signal, this.stopped.signal]) });
      while (!(await messages.next()).done);
    } finally {
      client.close();
    }
  }

  stop(): void {
    clearInterval(this.timer);
    this.stopped.abort(new DfError('cancelled', 'the scheduler stops'));
  }

  private isServing(address: string): Promise<boolean> {
    const client = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, address);
    return new Promise<boolean>((resolve) => {
      client.makeUnaryRequest(
        HEALTH_PATH,
        () => Buffer.alloc(0),
        (bytes: Buffer) => bytes,
        {},
        { deadline: Date.now() + this.figures.seedProbeTimeoutMs },
        (error, answer?: Buffer) => resolve(error === null && answer?.subarray(0, 2).equals(SERVING) === true),
      );
    }).finally(() => client.close());
  }
}
