import { dfdaemonV2, type commonV2 } from '@dragonfly/proto';
import { createGrpcClient, SharedClients, type ClientTls } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import type { DaemonConfig } from './config/schema.js';
import type { DataPlane } from './data-plane.js';
import type { ParentsOptions, SourceOptions } from './download/attempt-services.js';
import type { DownloadRequest } from './download/download-request.js';
import { prepareTask, type PreparedTask } from './download/preparation.js';
import { originOf } from './download/traffic.js';
import type { PeerMetrics } from './metrics.js';
import { learnLength } from './parents/learn-length.js';
import { SyncedParentHosts } from './parents/parent-hosts.js';
import { ParentSession, type SessionOutcome } from './parents/parent-session.js';
import { SyncPiecesCollector } from './parents/piece-collector.js';
import { VortexPieceFetcher } from './parents/piece-fetcher.js';
import { sourceAccessOf } from './source/source-plan.js';
import { SourceSession } from './source/source-session.js';

/** Tasks remembered as inconsistent; beyond it the oldest is tried by ranges again. */
const MAX_INCONSISTENT = 1000;

export interface TransferOptions {
  readonly config: DaemonConfig;
  readonly data: DataPlane;
  readonly hostId: string;
  readonly parentTls: ClientTls | undefined;
  readonly metrics: PeerMetrics;
  readonly log: Logger;
}

/** Brings pieces into the store, from parents or from the source. */
export class Transfer {
  private readonly connections: SharedClients<dfdaemonV2.DfdaemonUploadClient>;
  private readonly hosts: SyncedParentHosts;
  private readonly collector: SyncPiecesCollector;
  private readonly fetcher: VortexPieceFetcher;
  /** Tasks whose origin is known to ignore ranges. */
  private readonly rangeless = new WeakSet<StoredTask>();
  /**
   * Tasks whose origin told two versions within one download: the content changed, or several servers behind one name
   * disagree. They are read as one stream, which is of one version whatever the others say.
   */
  private readonly inconsistent = new Set<string>();

  constructor(private readonly options: TransferOptions) {
    const { config, data, hostId, parentTls, log } = options;
    this.connections = new SharedClients((address) =>
      createGrpcClient(dfdaemonV2.DfdaemonUploadClient, address, parentTls === undefined ? {} : { tls: parentTls }),
    );
    this.hosts = new SyncedParentHosts(this.connections, hostId, log);
    this.collector = new SyncPiecesCollector(this.connections, hostId, config.download.collectedPieceTimeout);
    this.fetcher = new VortexPieceFetcher(data.pieceClient, data.downloadLimiter);
  }

  async prepare(request: DownloadRequest, signal: AbortSignal): Promise<PreparedTask> {
    const { store, sources } = this.options.data;
    const prepared = await prepareTask(store, sources, request, signal);
    if (prepared.info?.supportsRange === false) this.rangeless.add(prepared.task);
    return prepared;
  }

  /** Throws away what was stored of a content that is no longer what the origin has. */
  async discardChanged(request: DownloadRequest): Promise<void> {
    this.inconsistent.add(request.taskId);
    const oldest = this.inconsistent.values().next().value;
    if (this.inconsistent.size > MAX_INCONSISTENT && oldest !== undefined) this.inconsistent.delete(oldest);
    await this.options.data.store.delete(request.kind, request.taskId);
  }

  async fetchFromParents(options: ParentsOptions, signal: AbortSignal): Promise<SessionOutcome> {
    const { config } = this.options;
    const session = new ParentSession({
      ...options,
      candidates: [...options.candidates],
      isSequential: options.request.isSequential,
      concurrency: config.download.concurrentPieceCount,
      collector: this.collector,
      fetcher: this.fetcher,
      hosts: this.hosts,
      onPiece: (record) => {
        this.count(record);
        options.onPiece(record);
      },
    });
    options.onBegun(session);
    return session.run(signal);
  }

  async fetchFromSource(options: SourceOptions, signal: AbortSignal): Promise<void> {
    const { config, data } = this.options;
    const { task, request, limiters, hold, log } = options;
    const isInconsistent = this.inconsistent.has(request.taskId);
    const session = new SourceSession({
      task,
      access: sourceAccessOf(data.sources.get(request.url), request, task, isInconsistent),
      mayUseRanges: !isInconsistent && !this.rangeless.has(task),
      concurrency: config.download.backToSourceConcurrentPieceCount,
      maxRetries: config.backend.maxRetries,
      limiters: [data.downloadLimiter, data.sourceLimiter, ...(hold === undefined ? [] : [hold.limiter]), ...limiters],
      gate: hold?.gate,
      pool: data.sourceBuffers,
      onPiece: (record) => {
        this.count(record);
        hold?.progress(record.lengthBytes);
        options.onPiece(record);
      },
      log,
    });
    await session.run(options.pieces, signal);
    this.inconsistent.delete(request.taskId);
  }

  async learnLength(
    candidates: readonly commonV2.Peer[],
    taskId: string,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { config, hostId, log } = this.options;
    return learnLength(
      {
        connections: this.connections,
        candidates: candidates.filter(({ host }) => host?.id !== hostId),
        taskId,
        patienceMs: config.download.collectedPieceTimeout,
        log,
      },
      signal,
    );
  }

  close(): void {
    this.connections.close();
  }

  private count(record: PieceRecord): void {
    const type = originOf(record) === 'source' ? 'BACK_TO_SOURCE' : 'REMOTE_PEER';
    this.options.metrics.downloadTraffic.inc({ type }, record.lengthBytes);
    this.options.metrics.downloadPieceDurationMs.observe({ type }, record.costMs);
  }
}
