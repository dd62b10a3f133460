import type { ServerOptions } from 'node:https';
import { resolve } from 'node:path';
import { DfError } from '@dragonfly/errors';
import cookie from '@fastify/cookie';
import cors from '@fastify/cors';
import type { Logger as PinoLogger } from '@dragonfly/telemetry';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { auditRequests } from '../audit/audit-hooks.js';
import { actorOf } from '../auth/caller.js';
import { RequestGate } from '../auth/request-gate.js';
import { AuditLog } from '../audit/audit-log.js';
import type { ManagerMetrics } from '../status/manager-metrics.js';
import { TopologyCache } from '../topology/topology-cache.js';
import { RestErrorFilter } from './error.filter.js';
import { serveConsole } from './console.js';
import { serveKeptAnswers } from './kept-answers.js';
import { apiDescription } from './openapi.js';
import { traceRequests } from './request-spans.js';
import type { RestOptions } from './rest-options.js';

/** Largest request body; the largest real ones are block lists of some hundred kB. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Longest part of a path, as it is sent: a name of 256 characters, each of them as `%F0%9F%90%89`. */
const MAX_PARAMETER_LENGTH = 256 * 12;
/** A request that is not complete by then is dropped. */
const REQUEST_TIMEOUT_MS = 60_000;

/** @param https certificate and key; undefined = plain HTTP */
export function createRestAdapter(https: ServerOptions | undefined, rest: RestOptions): FastifyAdapter {
  return new FastifyAdapter({
    trustProxy: rest.trustedProxies.length > 0 ? [...rest.trustedProxies] : false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // There is no middleware, so nothing needs to look for some before each request.
    skipMiddie: true,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    // A path that cannot be decoded, or with a name that nothing can have: there is no such thing.
    frameworkErrors: (_error: unknown, _request: FastifyRequest, reply: FastifyReply) =>
      void reply.status(404).send({ message: 'Not Found' }),
    ...(https ? { https } : {}),
  });
}

/** @throws DfError `invalid-argument` */
function parseBody(body: string): unknown {
  if (body.trim() === '') {
    return undefined;
  }
  try {
    return JSON.parse(body) as unknown;
  } catch (error) {
    throw new DfError('invalid-argument', `the body is no JSON: ${DfError.from(error).message}`, { cause: error });
  }
}

/** How long a browser may remember what it may ask for, in seconds. */
const CORS_MAX_AGE_S = 600;

/** Lets scripts of other sites use the API. With `*` they get no cookie along: every site would be signed in. */
async function allowOrigins(app: NestFastifyApplication, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) {
    return;
  }
  const isOpen = origins.includes('*');
  await app.register(cors, {
    origin: isOpen ? '*' : [...origins],
    credentials: !isOpen,
    methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH'],
    exposedHeaders: ['Link', 'Location', 'Authorization'],
    maxAge: CORS_MAX_AGE_S,
  });
}

/** Questions that probes ask all day, and pages. */
const LOGGED = /^\/o?api\//;

/** The access log: one line for each request of the API; without its query, which may hold secrets. */
function logRequest(log: PinoLogger, request: FastifyRequest, reply: FastifyReply): void {
  if (!LOGGED.test(request.url)) {
    return;
  }
  log.info(
    {
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      actor: actorOf(request).name,
      ip: request.ip,
    },
    'request',
  );
}

/** 0 for bodies that say nothing of their length. */
function lengthOf(header: unknown): number {
  const length = Number(header);
  return Number.isFinite(length) ? length : 0;
}

/** Everything of the REST side that is no controller. */
export async function configureRest(
  app: NestFastifyApplication,
  options: { log: PinoLogger; realm: string; metrics: ManagerMetrics; version: string; rest: RestOptions },
): Promise<void> {
  await app.register(cookie);
  await allowOrigins(app, options.rest.corsOrigins);
  app.useGlobalFilters(new RestErrorFilter(options.log, options.realm));
  const fastify = app.getHttpAdapter().getInstance();
  // Bodies are JSON whatever the content type says, and clients name it on requests without a body too.
  fastify.addContentTypeParser(
    ['application/json', '*'],
    { parseAs: 'string' },
    async (_request: FastifyRequest, body: string | Buffer) => parseBody(String(body)),
  );
  traceRequests(fastify);
  // Hooks of every request have callbacks: a promise for each would cost more than what they do.
  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.url === '/swagger/index.html') {
      // Published links end so; the page itself lives at the directory.
      void reply.redirect('/swagger/');
      return;
    }
    done();
  });
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    if (reply.statusCode === 413) {
      // Closing at once would cut the answer off for a client that is still sending: what it sends is read and dropped.
      reply.removeHeader('connection');
    }
    void reply.headers({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin',
    });
    done(null, payload);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    options.metrics.observeRequest({
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      code: reply.statusCode,
      durationMs: reply.elapsedTime,
      requestBytes: lengthOf(request.headers['content-length']),
      responseBytes: lengthOf(reply.getHeader('content-length')),
    });
    logRequest(options.log, request, reply);
    done();
  });
  auditRequests(fastify, app.get(AuditLog));
  serveKeptAnswers(fastify, app.get(RequestGate), app.get(TopologyCache));
  if (options.rest.consoleDirectory) {
    await serveConsole(fastify, resolve(options.rest.consoleDirectory));
  }
  SwaggerModule.setup('swagger', app, () => apiDescription(app, options.version), {
    jsonDocumentUrl: 'swagger/doc.json',
    raw: ['json'],
  });
}
