import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Milliseconds 1, 2, 4 … 2^23, as today's client. */
const BUCKETS_MS = Array.from({ length: 24 }, (_, power) => 2 ** power);

const PREFIX = 'dragonfly_client_';

/**
 * `type` is the number of the task type. Tag and application are free text of the callers and would make a series each:
 * they are left empty.
 */
const TASK_LABELS = ['type', 'tag', 'app', 'priority'] as const;

/** Metrics of the daemon, with the names that dashboards for today's client read. */
export class PeerMetrics {
  readonly registry = new Registry();

  readonly version = this.gauge('version', 'Version of the daemon; always 1.', [
    'git_version',
    'git_commit',
    'platform',
    'build_time',
  ]);
  readonly downloadTasks = this.counter('download_task_total', 'Downloads begun.', TASK_LABELS);
  readonly downloadTaskFailures = this.counter('download_task_failure_total', 'Downloads that failed.', TASK_LABELS);
  readonly downloadTaskBlocked = this.counter('download_task_blocked_total', 'Downloads the cluster forbids.', [
    'type',
  ]);
  readonly concurrentDownloads = this.gauge('concurrent_download_task_total', 'Downloads under way.', []);
  readonly downloadTaskDurationMs = this.histogram(
    'download_task_duration_milliseconds',
    'Time from request to last piece.',
    ['task_type', 'task_size_level'],
  );
  readonly downloadTraffic = this.counter('download_traffic', 'Bytes of finished pieces by origin.', ['type']);
  readonly downloadPieceDurationMs = this.histogram(
    'download_piece_duration_milliseconds',
    'Time to fetch a piece by origin.',
    ['type'],
  );
  readonly uploadTraffic = this.counter('upload_traffic', 'Bytes of pieces served to other peers.', []);
  readonly concurrentUploadPieces = this.gauge('concurrent_upload_piece_total', 'Piece answers under way.', []);
  readonly diskSpace = this.gauge('disk_space_total', 'Size of the file system of the store in bytes.', []);
  readonly diskUsage = this.gauge('disk_usage_space_total', 'Bytes used on the file system of the store.', []);

  private uploadedBytes = 0;

  /** Runs before every look at the metrics: for gauges that are read rather than kept. */
  onCollect(read: () => void | Promise<void>): void {
    // prom-client runs `collect` of each metric; one of them does it for all.
    Object.assign(this.diskSpace, { collect: read });
  }

  /** @param totalBytes since the start; must not fall */
  setUploadTraffic(totalBytes: number): void {
    this.uploadTraffic.inc(totalBytes - this.uploadedBytes);
    this.uploadedBytes = totalBytes;
  }

  private counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name: PREFIX + name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  private gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> {
    return new Gauge({ name: PREFIX + name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  private histogram<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Histogram<Label> {
    return new Histogram({
      name: PREFIX + name,
      help,
      labelNames: [...labelNames],
      buckets: BUCKETS_MS,
      registers: [this.registry],
    });
  }
}

/** Size classes of `task_size_level`: 0 B, < 1 MiB, < 4 MiB, then doubling, up to 20. */
export function sizeLevel(contentLengthBytes: number): string {
  if (contentLengthBytes === 0) return '0';
  const mebibytes = contentLengthBytes / 1024 ** 2;
  if (mebibytes < 1) return '1';
  if (mebibytes < 4) return '2';
  return String(Math.min(20, 3 + Math.floor(Math.log2(mebibytes / 4))));
}
