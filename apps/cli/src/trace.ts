import type { TraceCarrier } from '@dragonfly/telemetry/spans';
import type { TraceRequest } from './own-span.js';

/** W3C trace context, version 00 and what later versions may look like. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;
const MAX_TRACESTATE_LENGTH = 512;

/**
 * Does the download as part of a trace: of the one that the environment names (`TRACEPARENT`, as pipelines set it), with a
 * span of dfget's own when a collector is configured. Without either, nothing is loaded and nothing is done.
 * @param work gets what to send along to the daemon
 */
export async function inTrace<T>(
  request: TraceRequest,
  work: (carrier: TraceCarrier | undefined) => Promise<T>,
): Promise<T> {
  const { env } = request;
  const inherited = inheritedTrace(env);
  if (!env['OTEL_EXPORTER_OTLP_ENDPOINT'] && !env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) return work(inherited);
  const { withOwnSpan } = await import('./own-span.js');
  return withOwnSpan(request, inherited, work);
}

/** @returns undefined when there is none, or none that can be read: that is no reason to fail */
function inheritedTrace(env: NodeJS.ProcessEnv): TraceCarrier | undefined {
  const traceparent = env['TRACEPARENT'];
  if (traceparent === undefined || !TRACEPARENT.test(traceparent)) return undefined;
  const tracestate = env['TRACESTATE'];
  return tracestate && tracestate.length <= MAX_TRACESTATE_LENGTH ? { traceparent, tracestate } : { traceparent };
}
