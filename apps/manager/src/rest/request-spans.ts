import { isTracing, openSpan, type OpenSpan, type TraceCarrier } from '@dragonfly/telemetry/spans';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** What automation calls; probes, pages and metrics have no spans. */
const TRACED = /^\/(o?api|preheats)(\/|$)/;
/** W3C trace context. */
const TRACE_HEADERS = ['traceparent', 'tracestate'] as const;
/** From this status on a request failed by our fault. */
const FIRST_SERVER_ERROR = 500;

/** A span for each request of the API, within the caller's trace; what the request begins is part of it. */
export function traceRequests(fastify: FastifyInstance): void {
  if (!isTracing()) return;
  const spans = new WeakMap<FastifyRequest, OpenSpan>();
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (TRACED.test(request.url)) {
      const route = request.routeOptions.url ?? 'unknown';
      const span = openSpan(`${request.method} ${route}`, {
        kind: 'server',
        attributes: {
          'http.request.method': request.method,
          'http.route': route,
          // Without its query, which may hold secrets.
          'url.path': request.url.split('?', 1)[0],
          'client.address': request.ip,
        },
        parent: carrierIn(request),
      });
      if (span) spans.set(request, span);
    }
    done();
  });
  // The body is read by then: its events would have taken the context of the connection along.
  fastify.addHook('preValidation', (request, _reply, done) => {
    const span = spans.get(request);
    if (span) span.run(done);
    else done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const span = spans.get(request);
    span?.set({ 'http.response.status_code': reply.statusCode });
    if (reply.statusCode >= FIRST_SERVER_ERROR) span?.fail(`answered ${reply.statusCode}`);
    span?.end();
    done();
  });
}

function carrierIn(request: FastifyRequest): TraceCarrier {
  return Object.fromEntries(
    TRACE_HEADERS.flatMap((name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}
