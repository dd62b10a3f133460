import { execFile } from 'node:child_process';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { silentLogger } from '../src/index.js';
import { startTracing, tracingSettings } from '../src/tracing.js';
import { annotateSpan, isTracing, openSpan, traceCarrier, withinTrace, withSpan } from '../src/spans.js';

/** A collector that keeps what it got as it came. */
interface Collector {
  readonly address: string;
  readonly bodies: Buffer[];
  readonly headers: IncomingHttpHeaders[];
  close(): Promise<void>;
}

async function httpCollector(): Promise<Collector> {
  const bodies: Buffer[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      headers.push(request.headers);
      bodies.push(Buffer.concat(chunks));
      response.writeHead(200, { 'content-type': request.headers['content-type'] }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    headers,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function grpcCollector(): Promise<Collector> {
  const bodies: Buffer[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const identity = (bytes: Buffer): Buffer => bytes;
  const server = new Server();
  server.addService(
    {
      export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    {
      export: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
        bodies.push(call.request);
        headers.push(Object.fromEntries(Object.entries(call.metadata.getMap()).map(([k, v]) => [k, String(v)])));
        callback(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    address: `127.0.0.1:${port}`,
    bodies,
    headers,
    close: async () => server.forceShutdown(),
  };
}

async function start(section: object): Promise<() => Promise<void>> {
  const settings = tracingSettings(section, {});
  if (settings === undefined) throw new Error('tracing is off');
  return startTracing({ settings, service: 'tester', version: '1.2.3', host: { idc: 'idc-7' }, log: silentLogger() });
}

describe('spans that are exported', () => {
  it.each([
    ['http', httpCollector],
    ['grpc', grpcCollector],
  ])('arrive over %s with the headers of the configuration', async (protocol, collect) => {
    const collector = await collect();
    const stop = await start({ protocol, endpoint: collector.address, headers: { 'x-key': 'the-key' } });
    await withSpan('outer-span', { kind: 'server' }, () => withSpan('inner-span', { kind: 'client' }, async () => 1));
    await stop();
    const text = Buffer.concat(collector.bodies).toString('latin1');
    for (const part of ['outer-span', 'inner-span', 'tester', 'dragonfly', '1.2.3', 'idc-7']) {
      expect(text).toContain(part);
    }
    expect(collector.headers[0]).toMatchObject({ 'x-key': 'the-key' });
    await collector.close();
  });

  it('carry the trace to others and from them, across whatever waits in between', async () => {
    const collector = await httpCollector();
    const stop = await start({ protocol: 'http', endpoint: collector.address });
    const parent = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' };
    const carried = await withSpan('request', { kind: 'server', parent }, async (span) => {
      annotateSpan(() => ({ task_id: 'the-task' }));
      await new Promise((resolve) => setTimeout(resolve, 1));
      expect(traceCarrier()).toEqual(span?.carrier());
      return traceCarrier();
    });
    expect(carried).toEqual({
      traceparent: expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/),
      tracestate: 'a=b',
    });
    expect(traceCarrier()).toBeUndefined();
    expect(withinTrace(carried, () => openSpan('later', { kind: 'consumer' })?.carrier().traceparent)).toContain(
      '0af7651916cd43dd8448eb211c80319c',
    );
    const failing = withSpan('failing', { kind: 'client' }, () => Promise.reject(new Error('no luck')));
    await expect(failing).rejects.toThrow('no luck');
    await stop();
    const text = Buffer.concat(collector.bodies).toString();
    expect(text).toContain('the-task');
    expect(text).toContain('"status":{"code":2,"message":"no luck"}');
    await collector.close();
  });

  it('hold up no stop when the collector is away', async () => {
    const collector = await httpCollector();
    await collector.close();
    const stop = await start({ protocol: 'http', endpoint: collector.address });
    openSpan('lost', { kind: 'client' })?.end();
    await stop();
    expect(isTracing()).toBe(false);
  });
});

describe('tracing that is off', () => {
  it('loads nothing of OpenTelemetry and begins no span', async () => {
    const program = `
      import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
      const { withSpan, traceCarrier } = await import('@dragonfly/telemetry/spans');
      const { tracingSettings } = await import('@dragonfly/telemetry/tracing');
      const span = await withSpan('x', { kind: 'client' }, async (open) => open ?? 'none');
      const own = loaded.filter((url) => /opentelemetry|grpc/.test(url));
      console.log(JSON.stringify({ span, own, settings: tracingSettings({}, {}) ?? 'off', carrier: traceCarrier() ?? 'none' }));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: new URL('../../service/', import.meta.url).pathname,
    });
    expect(JSON.parse(stdout)).toEqual({ span: 'none', own: [], settings: 'off', carrier: 'none' });
  });
});
