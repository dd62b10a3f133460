/**
 * Spans, for code that crosses the network. This file loads nothing: while tracing is off each function is one look at a
 * variable, and OpenTelemetry is not in memory. `startTracing` puts a tracer behind it.
 * @packageDocumentation
 */

export type SpanKind = 'server' | 'client' | 'consumer';

/** Values of bounded length: ids, numbers, names. Secrets and bodies have no place here. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** W3C trace context as it travels: `traceparent`, and `tracestate` when there is one. */
export type TraceCarrier = Readonly<Record<string, string>>;

export interface SpanStart {
  readonly kind: SpanKind;
  readonly attributes?: SpanAttributes;
  /** What came with the request. @default the span that is active here, else a new trace begins */
  readonly parent?: TraceCarrier | undefined;
}

/** A span that has begun. */
export interface OpenSpan {
  /** Does the work inside the span: what it begins, now or later, becomes part of the same trace. */
  run<T>(work: () => T): T;
  set(attributes: SpanAttributes): void;
  /** Marks it as failed; `end` is still to be called. */
  fail(reason: string): void;
  /** What to send along, so that the other side goes on with this trace. */
  carrier(): TraceCarrier;
  /** Once; later calls do nothing. */
  end(): void;
}

/** What begins spans while tracing is on. */
export interface SpanSource {
  open(name: string, start: SpanStart): OpenSpan;
  /** Of the active span. */
  carrier(): TraceCarrier | undefined;
  /** Onto the active span. */
  annotate(attributes: SpanAttributes): void;
  within<T>(carrier: TraceCarrier, work: () => T): T;
}

let source: SpanSource | undefined;

/** @param next undefined: tracing is off from now on */
export function setSpanSource(next: SpanSource | undefined): void {
  source = next;
}

/** For work that is worth doing for spans alone. */
export function isTracing(): boolean {
  return source !== undefined;
}

/** @returns undefined while tracing is off */
export function openSpan(name: string, start: SpanStart): OpenSpan | undefined {
  return source?.open(name, start);
}

/** Does the work inside a span that ends with it, failed when it throws. */
export async function withSpan<T>(
  name: string,
  start: SpanStart,
  work: (span: OpenSpan | undefined) => Promise<T>,
): Promise<T> {
  const span = source?.open(name, start);
  if (span === undefined) return work(undefined);
  try {
    return await span.run(() => work(span));
  } catch (error) {
    span.fail(Error.isError(error) ? error.message : String(error));
    throw error;
  } finally {
    span.end();
  }
}

/** To be kept or sent with work that somebody does later; undefined outside of a trace. */
export function traceCarrier(): TraceCarrier | undefined {
  return source?.carrier();
}

/** Does the work as part of the trace that `traceCarrier` was told of. */
export function withinTrace<T>(carrier: TraceCarrier | undefined, work: () => T): T {
  return source === undefined || carrier === undefined ? work() : source.within(carrier, work);
}

/** Says more about the span that is active, if one is. */
export function annotateSpan(attributes: () => SpanAttributes): void {
  source?.annotate(attributes());
}
