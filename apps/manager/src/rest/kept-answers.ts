import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from 'fastify';
import type { RequestGate } from '../auth/request-gate.js';
import { ForTenants } from '../auth/route-rules.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import type { Topology } from '../topology/topology.js';
import type { TopologyCache } from '../topology/topology-cache.js';

/** Answers of one moment that are kept at most; more of them, and all are made anew. */
const MAX_ANSWERS = 500;
/** Bytes of their bodies. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Of a body that is better written beside the headers than copied behind them. */
const LONG_BYTES = 8 * 1024;
/** Longer addresses are not worth a place. */
const MAX_URL_LENGTH = 256;
/** A session token in the address must not stay in memory. */
const SECRET_PARAMETER = /[?&]token=/;

/** Key of the route's configuration. */
export const IS_KEPT = 'dragonfly:is-kept';

/**
 * Answers of the route may be kept for as long as the topology stays as it is: {@link keepAnswer} says which. The guard's
 * decision is never kept: every request passes the gate. The route is `scoped` for tenants.
 */
export const KeptWithTopology = (): MethodDecorator =>
  applyDecorators(ForTenants('scoped'), RouteConfig({ [IS_KEPT]: true }));

/** An answer as it goes out. */
interface KeptAnswer {
  /** A text when it is short: it then goes out in one piece with the headers. */
  readonly body: string | Buffer;
  readonly type: string;
  readonly link: string | undefined;
}

/** Where the answer of a request may be kept, and whether its handler has said that it may. */
interface Place {
  readonly topology: Topology;
  readonly scope: TenantScope;
  isWanted: boolean;
}

const places = new WeakMap<FastifyRequest, Place>();

/**
 * To be called by the handler of a route that is {@link KeptWithTopology} when its answer comes from the topology, the
 * caller's scope and the address of the request alone.
 */
export function keepAnswer(request: FastifyRequest): void {
  const place = places.get(request);
  if (place) {
    place.isWanted = true;
  }
}

/**
 * Answers as bytes, by what they were made from: the topology and the scope as objects, which are replaced whenever
 * they change, on whichever manager. There is nothing to invalidate.
 */
class KeptAnswers {
  private topology: Topology | undefined;
  private byScope = new WeakMap<TenantScope, Map<string, KeptAnswer>>();
  private count = 0;
  private bytes = 0;

  find({ topology, scope }: Place, url: string): KeptAnswer | undefined {
    return topology === this.topology ? this.byScope.get(scope)?.get(url) : undefined;
  }

  keep({ topology, scope }: Place, url: string, lengthBytes: number, answer: KeptAnswer): void {
    if (lengthBytes > MAX_BYTES || url.length > MAX_URL_LENGTH || SECRET_PARAMETER.test(url)) {
      return;
    }
    if (topology !== this.topology || this.count >= MAX_ANSWERS || this.bytes + lengthBytes > MAX_BYTES) {
      this.topology = topology;
      this.byScope = new WeakMap();
      this.count = 0;
      this.bytes = 0;
    }
    const answers = this.byScope.get(scope) ?? new Map<string, KeptAnswer>();
    this.byScope.set(scope, answers.set(url, answer));
    this.count += 1;
    this.bytes += lengthBytes;
  }
}

/** Puts kept answers before the handlers of routes that are registered from now on and are {@link KeptWithTopology}. */
export function serveKeptAnswers(fastify: FastifyInstance, gate: RequestGate, topologies: TopologyCache): void {
  const answers = new KeptAnswers();
  fastify.addHook('onRoute', (route: RouteOptions) => {
    if (route.method !== 'GET' || !(IS_KEPT in (route.config ?? {}))) {
      return;
    }
    const makeAnswer = route.handler;
    route.handler = function (request, reply) {
      const place = request.method === 'GET' ? placeOf(request, gate, topologies) : Promise.resolve(undefined);
      place
        .then((found) => {
          const answer = found && answers.find(found, request.url);
          if (answer) {
            sendKept(reply, answer);
            return undefined;
          }
          if (found) {
            places.set(request, found);
          }
          return callHandler(makeAnswer.call(this, request, reply), reply);
        })
        .catch((error: unknown) => reply.send(error));
    };
    route.onSend = [
      ...[route.onSend ?? []].flat(),
      (request, reply, payload, done) => {
        const place = places.get(request);
        if (place?.isWanted && reply.statusCode === 200 && typeof payload === 'string') {
          const bytes = Buffer.from(payload);
          answers.keep(place, request.url, bytes.length, {
            body: bytes.length < LONG_BYTES ? payload : bytes,
            type: String(reply.getHeader('content-type')),
            link: reply.getHeader('link') as string | undefined,
          });
        }
        done(null, payload);
      },
    ];
  });
}

/** @returns undefined when the request is not to pass or the database is away: its handler says so in the usual way */
async function placeOf(
  request: FastifyRequest,
  gate: RequestGate,
  topologies: TopologyCache,
): Promise<Place | undefined> {
  try {
    const { scope } = await gate.admit(request, { forTenants: 'scoped', isForOwnAccount: false });
    return { topology: await topologies.get(), scope, isWanted: false };
  } catch {
    // Whatever it was, the handler meets it again.
    return undefined;
  }
}

function sendKept(reply: FastifyReply, { body, type, link }: KeptAnswer): void {
  void reply.header('content-type', type);
  if (link !== undefined) {
    void reply.header('link', link);
  }
  void reply.send(body);
}

/** A handler that is not async answers by itself; what an async one hands out is the answer, unless there is one. */
async function callHandler(result: ReturnType<RouteHandlerMethod>, reply: FastifyReply): Promise<void> {
  const payload: unknown = await result;
  if (payload !== undefined && payload !== reply && !reply.sent) {
    void reply.send(payload);
  }
}
