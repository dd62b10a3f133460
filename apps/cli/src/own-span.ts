import { DfError } from '@dragonfly/errors';
import { startTracing, tracingSettings, type TracingSettings } from '@dragonfly/telemetry/tracing';
import { type TraceCarrier, withSpan } from '@dragonfly/telemetry/spans';
import type { Log } from './log.js';
import { VERSION } from './version.js';

/** What a trace needs to know of a download. */
export interface TraceRequest {
  readonly env: NodeJS.ProcessEnv;
  readonly url: string;
  readonly log: Log;
  /** For the user's eyes. */
  readonly warn: (text: string) => void;
}

/** A command has its user waiting: a collector that takes no spans may cost no more than this. */
const FLUSH_TIMEOUT_MS = 1_000;

/**
 * The span of a dfget whose environment names a collector. A file of its own: OpenTelemetry takes longer to load than most
 * downloads.
 * @param inherited trace that this one belongs to
 */
export async function withOwnSpan<T>(
  request: TraceRequest,
  inherited: TraceCarrier | undefined,
  work: (carrier: TraceCarrier | undefined) => Promise<T>,
): Promise<T> {
  const settings = settingsOf(request);
  if (settings === undefined) return work(inherited);
  const stop = await startTracing({
    settings,
    service: 'dfget',
    version: VERSION,
    log: {
      info: () => undefined,
      warn: (fields: object, text?: string) => request.warn(`${text ?? ''}: ${Object.values(fields).join(', ')}`),
    },
    flushTimeoutMs: FLUSH_TIMEOUT_MS,
  });
  try {
    const attributes = { 'url.full': withoutSecrets(request.url) };
    return await withSpan('dfget', { kind: 'client', attributes, parent: inherited }, (span) => {
      const carrier = span?.carrier();
      request.log('info', `trace ${carrier?.['traceparent'] ?? 'none'}`);
      return work(carrier);
    });
  } finally {
    await stop();
  }
}

/** Variables that make no sense are told, and are no reason to fail. */
function settingsOf({ env, warn }: TraceRequest): TracingSettings | undefined {
  try {
    return tracingSettings(undefined, env);
  } catch (error) {
    warn(`no span is made: ${DfError.from(error).message}`);
    return undefined;
  }
}

/** As everywhere in spans: without user, password, query and fragment. */
function withoutSecrets(text: string): string {
  if (!URL.canParse(text)) return '';
  const url = new URL(text);
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}
