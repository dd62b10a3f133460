import { mkdir } from 'node:fs/promises';
import { PieceStore } from '@dragonfly/piece-store';
import { HttpBackend, SourceRegistry } from '@dragonfly/sources';
import type { Logger } from '@dragonfly/telemetry';
import { BufferPool, RateLimiter, VortexClient, VortexServer } from '@dragonfly/vortex';
import type { DaemonConfig } from './config/schema.js';
import { StoredPieceSource } from './pieces/stored-piece-source.js';
import type { UploadCounters } from './pieces/upload-counters.js';

/** Buffers for bytes from sources: two a connection, so 128 connections run at full speed. 64 MiB at most. */
const SOURCE_BUFFER_BYTES = 256 * 1024;
const MAX_SOURCE_BUFFERS = 256;

/** Proxies for origins, as programs take them from the environment. */
export interface SourceProxy {
  readonly httpProxy?: string;
  readonly httpsProxy?: string;
  readonly noProxy?: string;
}

export interface DataPlaneOptions {
  readonly config: DaemonConfig;
  readonly counters: UploadCounters;
  readonly sourceProxy?: SourceProxy | undefined;
  /** Address for the piece server when the configuration names none. */
  readonly anyAddress: string;
  readonly piecePort: number;
  readonly log: Logger;
}

/** What moves bytes: the store, the piece server and client, the sources, and the limits on all of them. */
export class DataPlane {
  private constructor(
    readonly store: PieceStore,
    readonly pieceServer: VortexServer,
    readonly pieceClient: VortexClient,
    readonly sources: SourceRegistry,
    readonly sourceBuffers: BufferPool,
    readonly downloadLimiter: RateLimiter,
    readonly sourceLimiter: RateLimiter,
  ) {}

  /** @throws DfError when the store cannot be opened or the piece port cannot be had */
  static async open(options: DataPlaneOptions): Promise<DataPlane> {
    const { config, log } = options;
    await mkdir(config.storage.dir, { recursive: true });
    const store = await PieceStore.open({
      directory: config.storage.dir,
      keep: config.storage.keep,
      syncPolicy: config.storage.writebackMode === 'sync' ? 'full' : 'none',
      log,
    });
    try {
      const pieceServer = await VortexServer.start({
        host: config.storage.server.ip ?? options.anyAddress,
        port: options.piecePort,
        source: new StoredPieceSource(store, options.counters),
        limiter: new RateLimiter(config.upload.bandwidthLimit),
        writeTimeoutMs: config.storage.writePieceTimeout,
        log,
      });
      const sources = new SourceRegistry();
      sources.register(
        new HttpBackend({
          extraHeaders: config.backend.requestHeader ?? {},
          maxRetries: config.backend.maxRetries,
          idleTimeoutMs: config.download.sourceStallTimeout,
          redirectCacheTtlMs: config.backend.enableCacheTemporaryRedirect
            ? config.backend.cacheTemporaryRedirectTTL
            : 0,
          ...(options.sourceProxy === undefined ? {} : { proxy: options.sourceProxy }),
        }),
      );
      return new DataPlane(
        store,
        pieceServer,
        new VortexClient({
          answerTimeoutMs: config.download.pieceTimeout,
          contentTimeoutMs: config.storage.writePieceTimeout,
        }),
        sources,
        new BufferPool({ bufferBytes: SOURCE_BUFFER_BYTES, maxBuffers: MAX_SOURCE_BUFFERS }),
        new RateLimiter(config.download.bandwidthLimit),
        new RateLimiter(config.download.backToSourceBandwidthLimit),
      );
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Nobody may use the store any more. */
  async close(): Promise<void> {
    await this.pieceClient.close();
    await this.pieceServer.close();
    await this.sources.close();
    await this.store.close();
  }
}
