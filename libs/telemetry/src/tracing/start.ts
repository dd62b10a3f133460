import { hostname } from 'node:os';
import { DfError } from '@dragonfly/errors';
import type { Logger } from '../logger.js';
import type { TracingSettings } from './settings.js';
import { setSpanSource } from '../spans.js';

export interface TracingOptions {
  readonly settings: TracingSettings;
  /** Name of the service when nobody else gives one. */
  readonly service: string;
  readonly version: string;
  /** Location of the host, as it is announced. */
  readonly host?: { readonly idc?: string | null; readonly location?: string | null; readonly ip?: string | null };
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Spans not sent after this long are given up, so that a collector that is away holds up no stop. @default 3000 */
  readonly flushTimeoutMs?: number;
}

const DEFAULT_FLUSH_TIMEOUT_MS = 3_000;

/**
 * Begins to export spans. To be called before servers and clients are made: those that are older have none.
 * @returns ends it and sends what is left
 */
export async function startTracing(options: TracingOptions): Promise<() => Promise<void>> {
  const { settings, log, host } = options;
  const { exportSpans } = await import('./open-telemetry.js');
  const exporting = await exportSpans(settings, {
    'service.name': settings.serviceName ?? options.service,
    'service.namespace': 'dragonfly',
    'service.version': options.version,
    'host.name': hostname(),
    'host.ip': host?.ip || undefined,
    'host.idc': host?.idc || undefined,
    'host.location': host?.location || undefined,
  });
  setSpanSource(exporting.source);
  log.info(
    { encoding: settings.encoding, collector: settings.url ?? 'from OTEL_EXPORTER_OTLP_*' },
    'spans are exported',
  );
  return async () => {
    setSpanSource(undefined);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new DfError('deadline-exceeded', 'the collector takes no spans')),
        options.flushTimeoutMs ?? DEFAULT_FLUSH_TIMEOUT_MS,
      );
    });
    try {
      await Promise.race([exporting.stop(), tooLate]);
    } catch (error) {
      log.warn({ reason: DfError.from(error).message }, 'the last spans could not be sent');
    } finally {
      clearTimeout(timer);
    }
  };
}
