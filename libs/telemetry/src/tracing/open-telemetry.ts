/** Loaded by `startTracing` only. */
import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind as OtelSpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { SamplerSettings, TracingSettings } from './settings.js';
import type { OpenSpan, SpanAttributes, SpanKind, SpanSource, SpanStart, TraceCarrier } from '../spans.js';

/** Longest value of an attribute, in characters; long URLs are cut. */
const MAX_VALUE_LENGTH = 2048;

const KINDS: Readonly<Record<SpanKind, OtelSpanKind>> = {
  server: OtelSpanKind.SERVER,
  client: OtelSpanKind.CLIENT,
  consumer: OtelSpanKind.CONSUMER,
};

export interface Exporting {
  readonly source: SpanSource;
  /** Sends what is left. */
  stop(): Promise<void>;
}

/** @param attributes of the process, e.g. `service.name`; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME go before them */
export async function exportSpans(settings: TracingSettings, attributes: SpanAttributes): Promise<Exporting> {
  const exporter = await exporterOf(settings);
  const resource = resourceFromAttributes(present(attributes)).merge(detectResources({ detectors: [envDetector] }));
  const provider = new TracerProvider({
    resource,
    sampler: samplerOf(settings.sampler),
    spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
    spanProcessors: [new BatchSpanProcessor({ exporter, ...settings.batch })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return {
    source: new OtelSpanSource(provider.getTracer('dragonfly')),
    stop: async () => {
      await provider.shutdown();
      context.disable();
      propagation.disable();
    },
  };
}

async function exporterOf({ encoding, url, headers }: TracingSettings): Promise<SpanExporter> {
  switch (encoding) {
    case 'grpc': {
      const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
      const { Metadata } = await import('@grpc/grpc-js');
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name.toLowerCase(), value);
      return new OTLPTraceExporter({ ...(url === undefined ? {} : { url }), metadata });
    }
    case 'http/json': {
      const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
      return new OTLPTraceExporter({ ...(url === undefined ? {} : { url }), headers: { ...headers } });
    }
    case 'http/protobuf': {
      const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
      return new OTLPTraceExporter({ ...(url === undefined ? {} : { url }), headers: { ...headers } });
    }
  }
}

function samplerOf({ kind, ratio, obeysParent }: SamplerSettings): Sampler {
  const root =
    kind === 'on'
      ? new AlwaysOnSampler()
      : kind === 'off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return obeysParent ? new ParentBasedSampler({ root }) : root;
}

class OtelSpanSource implements SpanSource {
  constructor(private readonly tracer: Tracer) {}

  open(name: string, { kind, attributes, parent }: SpanStart): OpenSpan {
    const outer = parent === undefined ? context.active() : propagation.extract(ROOT_CONTEXT, parent);
    const options = { kind: KINDS[kind], attributes: present(attributes ?? {}) };
    const span = this.tracer.startSpan(name, options, outer);
    return new OtelOpenSpan(span, trace.setSpan(outer, span));
  }

  carrier(): TraceCarrier | undefined {
    return trace.getActiveSpan() === undefined ? undefined : carrierOf(context.active());
  }

  annotate(attributes: SpanAttributes): void {
    trace.getActiveSpan()?.setAttributes(present(attributes));
  }

  within<T>(carrier: TraceCarrier, work: () => T): T {
    return context.with(propagation.extract(ROOT_CONTEXT, carrier), work);
  }
}

class OtelOpenSpan implements OpenSpan {
  constructor(
    private readonly span: Span,
    private readonly inside: Context,
  ) {}

  run<T>(work: () => T): T {
    return context.with(this.inside, work);
  }

  set(attributes: SpanAttributes): void {
    this.span.setAttributes(present(attributes));
  }

  fail(reason: string): void {
    this.span.setStatus({ code: SpanStatusCode.ERROR, message: reason.slice(0, MAX_VALUE_LENGTH) });
  }

  carrier(): TraceCarrier {
    return carrierOf(this.inside);
  }

  end(): void {
    if (this.span.isRecording()) this.span.end();
  }
}

function carrierOf(of: Context): TraceCarrier {
  const carrier: Record<string, string> = {};
  propagation.inject(of, carrier);
  return carrier;
}

function present(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
