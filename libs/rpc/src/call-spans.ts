import {
  InterceptingCall,
  type Interceptor,
  type Metadata,
  type ServerInterceptor,
  status as Status,
} from '@grpc/grpc-js';
import { isTracing, openSpan, type OpenSpan, type SpanAttributes, type TraceCarrier } from '@dragonfly/telemetry/spans';
import { type Call, DelegatingCall, type InterceptingServerListener, interceptor } from './delegating-call.js';

/** W3C trace context, as metadata. */
const TRACE_KEYS = ['traceparent', 'tracestate'] as const;

/** Probes, and streams that stand as long as both sides live: a span of them would tell nothing and end with the process. */
const WITHOUT_SPAN = [
  '/grpc.health.v1.',
  '/grpc.reflection.',
  '/manager.v2.Manager/KeepAlive',
  '/dragonfly.ext.v1.NotifyService/Subscribe',
  '/dragonfly.ext.v1.PushService/Subscribe',
] as const;

function hasSpan(path: string): boolean {
  return !WITHOUT_SPAN.some((prefix) => path.startsWith(prefix));
}

/** Options of a client whose calls have spans; empty while tracing is off. */
export function spanOptions(address: string): { readonly interceptors?: Interceptor[] } {
  return isTracing() ? { interceptors: [clientSpans(address)] } : {};
}

/** A span for each call of a client; the trace goes along in the call's metadata. */
function clientSpans(address: string): Interceptor {
  return (options, nextCall) => {
    const { path } = options.method_definition;
    const span = hasSpan(path)
      ? openSpan(nameOf(path), { kind: 'client', attributes: { ...attributesOf(path), 'server.address': address } })
      : undefined;
    if (span === undefined) return new InterceptingCall(nextCall(options));
    return new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => {
        for (const [key, value] of Object.entries(span.carrier())) metadata.set(key, value);
        next(metadata, {
          onReceiveStatus: (status, nextStatus) => {
            endWith(span, status.code, status.details);
            nextStatus(status);
          },
        });
      },
    });
  };
}

/**
 * A span for each call of a server, within the trace that came with it. Handlers run inside. To be the first of the
 * interceptors, which is the one nearest to the wire: it sees the status of calls that another one refuses.
 */
export function serverSpans(): ServerInterceptor {
  return interceptor(({ path }, call) => (hasSpan(path) ? new TracedCall(call, path) : call));
}

class TracedCall extends DelegatingCall {
  private span: OpenSpan | undefined;
  private hasEnded = false;

  constructor(
    inner: Call,
    private readonly path: string,
  ) {
    super(inner);
  }

  override start(listener: InterceptingServerListener): void {
    this.inner.start({
      onReceiveMetadata: (metadata) => {
        this.span = openSpan(nameOf(this.path), {
          kind: 'server',
          attributes: { ...attributesOf(this.path), 'client.address': this.inner.getPeer() },
          parent: carrierIn(metadata),
        });
        this.inside(() => listener.onReceiveMetadata(metadata));
      },
      onReceiveMessage: (message) => this.inside(() => listener.onReceiveMessage(message)),
      onReceiveHalfClose: () => this.inside(() => listener.onReceiveHalfClose()),
      // Also called after a normal end; the span has its status then.
      onCancel: () => {
        this.end(Status.CANCELLED, 'the caller is gone');
        this.inside(() => listener.onCancel());
      },
    });
  }

  override sendStatus(status: Parameters<Call['sendStatus']>[0]): void {
    this.end(status.code ?? Status.UNKNOWN, status.details ?? '');
    this.inner.sendStatus(status);
  }

  private end(code: Status, details: string): void {
    if (this.hasEnded || this.span === undefined) return;
    this.hasEnded = true;
    endWith(this.span, code, details);
  }

  private inside(work: () => void): void {
    if (this.span === undefined) work();
    else this.span.run(work);
  }
}

/** @returns an empty one when the caller sent no trace: a new one begins then, whatever is active here */
function carrierIn(metadata: Metadata): TraceCarrier {
  return Object.fromEntries(
    TRACE_KEYS.flatMap((key) => {
      const value = metadata.get(key)[0];
      return value === undefined ? [] : [[key, String(value)]];
    }),
  );
}

/** Names and attributes as the semantic conventions for RPC have them. */
function nameOf(path: string): string {
  return path.slice(1);
}

function attributesOf(path: string): SpanAttributes {
  const [, service, method] = path.split('/');
  return { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method };
}

function endWith(span: OpenSpan, code: Status, details: string): void {
  span.set({ 'rpc.grpc.status_code': code });
  // A cancel is how most streams end that have what they wanted.
  if (code !== Status.OK && code !== Status.CANCELLED) span.fail(details);
  span.end();
}
