import { DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import type { IdleWatch } from '../idle-watch.js';
import { sizeLevel, type PeerMetrics } from '../metrics.js';
import type { DownloadRequest } from './download-request.js';
import { loggableUrl } from './loggable-url.js';
import type { DownloadResult } from './task-run.js';

/** `type` of standard tasks: the number of `common.v2.TaskType`. */
const STANDARD_TASK = '0';

/** Told about every request; see `InstrumentedRequests`. */
export interface RequestWatcher {
  /** A request begins. @returns to be called once with how it ended */
  begin(request: DownloadRequest): (end: DownloadResult | DfError) => void;
}

/** Counts requests, writes one log line for each, and keeps the daemon from being idle meanwhile. */
export class InstrumentedRequests implements RequestWatcher {
  constructor(
    private readonly metrics: PeerMetrics,
    private readonly idle: IdleWatch,
    private readonly log: Logger,
  ) {}

  begin(request: DownloadRequest): (end: DownloadResult | DfError) => void {
    const { metrics, log } = this;
    const startedAtMs = performance.now();
    const noLongerBusy = this.idle.begin();
    const labels = { type: STANDARD_TASK, tag: '', app: '', priority: String(request.download.priority) };
    metrics.downloadTasks.inc(labels);
    metrics.concurrentDownloads.inc();
    return (end) => {
      noLongerBusy();
      metrics.concurrentDownloads.dec();
      const costMs = Math.round(performance.now() - startedAtMs);
      const facts = { taskId: request.taskId, url: loggableUrl(request.url), costMs };
      if (end instanceof DfError) {
        metrics.downloadTaskFailures.inc(labels);
        const failure = { ...facts, code: end.code, reason: end.message };
        // Whoever asked has gone: nothing is wrong with that.
        if (end.code === 'cancelled') log.info(failure, 'download cancelled');
        else log.warn(failure, 'download failed');
        return;
      }
      const length = end.range?.length ?? end.task.contentLengthBytes ?? 0;
      metrics.downloadTraffic.inc({ type: 'LOCAL_PEER' }, end.traffic.local);
      metrics.downloadTaskDurationMs.observe({ task_type: STANDARD_TASK, task_size_level: sizeLevel(length) }, costMs);
      log.info({ ...facts, lengthBytes: length, traffic: end.traffic }, 'download finished');
    };
  }
}
