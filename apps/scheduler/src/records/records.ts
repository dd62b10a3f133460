import type { Logger } from '@dragonfly/telemetry';
import type { Registry } from 'prom-client';
import type { SchedulerConfig } from '../config/scheduler-config.js';
import { scrapedCounter } from '../metrics/own-metrics.js';
import { RecordLog } from './record-log.js';
import { RecordQueries } from './record-queries.js';

/** The download records of one scheduler: written and read. */
export class Records {
  readonly log: RecordLog;
  readonly queries: RecordQueries;

  /** @param directory where the files are when the configuration does not say */
  constructor(config: SchedulerConfig['records'], directory: string, registry: Registry, log: Logger) {
    this.log = new RecordLog({
      directory: config.dir || directory,
      maxFileBytes: config.maxFileSize,
      maxFiles: config.maxFiles,
      flushIntervalMs: config.flushInterval,
      log,
    });
    this.queries = new RecordQueries(this.log);
    scrapedCounter(
      registry,
      'download_records_written_total',
      'Download records written.',
      () => this.log.writtenCount,
    );
    scrapedCounter(registry, 'download_records_dropped_total', 'Download records lost.', () => this.log.droppedCount);
  }
}
