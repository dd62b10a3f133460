import { DfError } from '@dragonfly/errors';
import fastify, { type FastifyInstance } from 'fastify';
import type { RequestGate } from '../auth/request-gate.js';
import { TenantScope } from '../auth/tenant-scope.js';
import type { Topology } from '../topology/topology.js';
import { IS_KEPT, keepAnswer, serveKeptAnswers } from './kept-answers.js';

const aTopology = (): Topology => ({ schedulerClusters: new Map(), seedPeerClusters: new Map() });

describe('kept answers of a route', () => {
  let server: FastifyInstance;
  let topology: Topology;
  let scope: TenantScope;
  let refusal: Error | undefined;
  let admitted: number;
  let made: number;
  let status: number;

  beforeEach(async () => {
    topology = aTopology();
    scope = TenantScope.UNLIMITED;
    refusal = undefined;
    admitted = 0;
    made = 0;
    status = 200;
    server = fastify();
    const gate = {
      admit: async () => {
        admitted += 1;
        if (refusal) throw refusal;
        return { scope };
      },
    } as unknown as RequestGate;
    serveKeptAnswers(server, gate, { get: async () => topology, invalidate: async () => undefined });
    server.get('/kept', { config: { [IS_KEPT]: true } }, async (request, reply) => {
      made += 1;
      if (!('unkept' in (request.query as object))) keepAnswer(request);
      void reply.status(status).header('link', `<${request.url}>`);
      return { answer: made, text: 'x'.repeat(Number((request.query as { length?: string }).length ?? 1)) };
    });
    await server.ready();
  });
  afterEach(() => server.close());

  const ask = async (url: string): Promise<{ status: number; answer: number; link: unknown }> => {
    const response = await server.inject({ url });
    return {
      status: response.statusCode,
      answer: response.json<{ answer: number }>().answer,
      link: response.headers['link'],
    };
  };

  it('are sent again, with their header, while topology and scope are the same; the gate is asked each time', async () => {
    expect(await ask('/kept?a=1')).toEqual({ status: 200, answer: 1, link: '</kept?a=1>' });
    expect(await ask('/kept?a=1')).toEqual({ status: 200, answer: 1, link: '</kept?a=1>' });
    expect(await ask('/kept?a=2')).toMatchObject({ answer: 2 });
    scope = new TenantScope({ clusterIds: [1] });
    expect(await ask('/kept?a=1')).toMatchObject({ answer: 3 });
    scope = TenantScope.UNLIMITED;
    expect(await ask('/kept?a=1')).toMatchObject({ answer: 1 });
    topology = aTopology();
    expect(await ask('/kept?a=1')).toMatchObject({ answer: 4 });
    expect(admitted).toBe(6);
  });

  it('are left alone for a caller who may not pass: the handler behind the guard says so', async () => {
    await ask('/kept');
    refusal = new DfError('unauthenticated', 'no');
    expect(await ask('/kept')).toMatchObject({ answer: 2 });
    refusal = undefined;
    // What a refused caller was told is not kept for others.
    expect(await ask('/kept')).toMatchObject({ answer: 1 });
  });

  it.each([
    ['that the handler does not offer', '/kept?unkept=1', 200],
    ['that is an error', '/kept', 404],
    ['whose address holds a session token', '/kept?page=1&token=secret', 200],
    ['with a long address', `/kept?q=${'x'.repeat(300)}`, 200],
    ['that is larger than all together may be', `/kept?length=${5 * 1024 * 1024}`, 200],
  ])('never are one %s', async (_name, url, code) => {
    status = code;
    expect(await ask(url)).toMatchObject({ status: code, answer: 1 });
    expect(await ask(url)).toMatchObject({ status: code, answer: 2 });
  });

  it('are bounded in number and in bytes', async () => {
    for (let n = 0; n < 501; n += 1) await ask(`/kept?n=${n}`);
    expect(await ask('/kept?n=500')).toMatchObject({ answer: 501 });
    expect(await ask('/kept?n=0')).toMatchObject({ answer: 502 });
    const large = 3 * 1024 * 1024;
    expect(await ask(`/kept?length=${large}`)).toMatchObject({ answer: 503 });
    expect(await ask(`/kept?length=${large}`)).toMatchObject({ answer: 503 });
    expect(await ask(`/kept?length=${large}&b=1`)).toMatchObject({ answer: 504 });
    expect(await ask(`/kept?length=${large}`)).toMatchObject({ answer: 505 });
  });
});
