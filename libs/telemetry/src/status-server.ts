import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DfError, httpStatusOf } from '@dragonfly/errors';
import type { Registry } from 'prom-client';
import type { Logger } from './logger.js';
import type { Readiness } from './readiness.js';

/** Open connections at most; probes and scrapers need a handful. */
const MAX_CONNECTIONS = 64;
/** A request that is not complete by then is dropped. */
const REQUEST_TIMEOUT_MS = 10_000;

export type StatusRoute = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface StatusServerOptions {
  /** Address to listen on; `0.0.0.0` and `::` are all. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly readiness?: Readiness;
  readonly registry?: Registry;
  /** Further paths, GET only. */
  readonly routes?: Readonly<Record<string, StatusRoute>>;
  readonly log: Logger;
}

/**
 * The small HTTP server beside every service.
 *
 * | path | answer |
 * |---|---|
 * | `/healthy`, `/server/ping` | 200 while the process lives |
 * | `/readyz` | 200 when every readiness condition holds, else 503; JSON with the named conditions |
 * | `/metrics` | Prometheus text |
 */
export class StatusServer {
  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** @throws DfError when the address cannot be had; the message names it */
  static async start(options: StatusServerOptions): Promise<StatusServer> {
    const routes = routesOf(options);
    const server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => {
        void answer(request, response, routes, options.log);
      },
    );
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const cause = DfError.from(error, 'unavailable');
        reject(
          new DfError(cause.code, `cannot listen on ${options.host}:${options.port}: ${cause.message}`, {
            cause: error,
            details: cause.details,
          }),
        );
      });
      server.listen(options.port, options.host, resolve);
    });
    return new StatusServer(server, (server.address() as AddressInfo).port);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
      this.server.closeAllConnections();
    });
  }
}

function routesOf(options: StatusServerOptions): ReadonlyMap<string, StatusRoute> {
  const alive: StatusRoute = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('OK');
  };
  const routes = new Map<string, StatusRoute>([
    ['/healthy', alive],
    ['/server/ping', alive],
  ]);
  const { readiness, registry } = options;
  if (readiness !== undefined) {
    routes.set('/readyz', (_request, response) => {
      const snapshot = readiness.snapshot();
      response
        .writeHead(snapshot.ready ? 200 : 503, { 'content-type': 'application/json' })
        .end(JSON.stringify(snapshot));
    });
  }
  if (registry !== undefined) {
    routes.set('/metrics', async (_request, response) => {
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    });
  }
  for (const [path, route] of Object.entries(options.routes ?? {})) routes.set(path, route);
  return routes;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ReadonlyMap<string, StatusRoute>,
  log: Logger,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const route = routes.get(path);
  try {
    if (route === undefined) {
      response
        .writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
        .end(`no such path; there are ${[...routes.keys()].join(', ')}\n`);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    } else {
      await route(request, response);
    }
  } catch (caught) {
    const error = DfError.from(caught);
    log.error({ err: error, path }, 'status request failed');
    if (!response.headersSent) response.writeHead(httpStatusOf(error.code));
    response.end();
  }
}
