import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CountingOrigin, tempDir, type TempDir } from '@dragonfly/testkit';
import { FakeLightDaemon, serving } from './fake-daemon.js';
import { FakeGrpcDaemon } from './fake-grpc-daemon.js';
import { runDfget } from './run-dfget.js';

const CONTENT = Buffer.alloc(43_878, 'dragonfly ');
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const OUTER_SPAN_ID = 'b7ad6b7169203331';
const TRACEPARENT = `00-${TRACE_ID}-${OUTER_SPAN_ID}-01`;

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

interface ExportRequest {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

describe('the trace of a download', () => {
  let directory: TempDir;
  let daemon: FakeLightDaemon;
  let collector: Server;
  let spans: Span[];

  beforeEach(async () => {
    directory = tempDir('cli');
    daemon = await FakeLightDaemon.start(directory.file('d.light.sock'), serving(directory.file('store'), CONTENT));
    spans = [];
    collector = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as ExportRequest;
        spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    await daemon.close();
    collector.closeAllConnections();
    await new Promise<void>((resolve) => collector.close(() => resolve()));
    directory.remove();
  });

  const dfget = (env: NodeJS.ProcessEnv, ...words: string[]): ReturnType<typeof runDfget> =>
    runDfget([...words, '-e', directory.file('d.sock')], { cwd: directory.path, env });
  const collecting = (): NodeJS.ProcessEnv => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  });

  it('is the one that the environment names, and the daemon is told', async () => {
    const end = await dfget({ TRACEPARENT, TRACESTATE: 'vendor=1' }, 'https://h/a', '-O', 'a');
    expect(end).toMatchObject({ exitCode: 0, error: '' });
    expect(daemon.requests[0]?.trace).toEqual({ traceparent: TRACEPARENT, tracestate: 'vendor=1' });
  });

  it.each([{}, { TRACEPARENT: 'nonsense', TRACESTATE: 'vendor=1' }])(
    'is none without a usable one: %p',
    async (env) => {
      expect((await dfget(env, 'https://h/a', '-O', 'a')).exitCode).toBe(0);
      expect(daemon.requests[0]?.trace).toBeUndefined();
    },
  );

  it('has a span of dfget around the daemon when a collector is named, without the secrets of the URL', async () => {
    const url = 'https://user:secret@h/a?signature=secret';
    const end = await dfget({ ...collecting(), TRACEPARENT }, url, '-O', 'a');
    expect(end).toMatchObject({ exitCode: 0, error: '' });
    expect(spans).toMatchObject([{ name: 'dfget', traceId: TRACE_ID, parentSpanId: OUTER_SPAN_ID }]);
    expect(spans[0]?.attributes).toEqual([{ key: 'url.full', value: { stringValue: 'https://h/a' } }]);
    expect(daemon.requests[0]?.trace).toEqual({ traceparent: `00-${TRACE_ID}-${spans[0]?.spanId}-01` });
  });

  it('goes to a daemon that speaks gRPC only in the metadata of its call', async () => {
    await daemon.close();
    const seen: unknown[] = [];
    const grpc = await FakeGrpcDaemon.start(directory.file('d.sock'), (call) => {
      seen.push(call.metadata.get('traceparent'));
      call.write({
        hostId: 'h',
        taskId: 't',
        peerId: 'p',
        response: {
          $case: 'downloadTaskStartedResponse',
          value: { contentLength: 0n, range: undefined, responseHeader: {}, pieces: [], isFinished: true },
        },
      });
      call.end();
    });
    try {
      expect(await dfget({ TRACEPARENT }, 'https://h/a', '-O', 'a')).toMatchObject({ exitCode: 0 });
      expect(seen).toEqual([[TRACEPARENT]]);
    } finally {
      grpc.close();
    }
  });

  it('has the request to the source in it when dfget fetches by itself', async () => {
    const origin = await CountingOrigin.start();
    try {
      const url = origin.put('/a', CONTENT);
      const end = await runDfget(['-u', url, '-O', 'a', '-p', 'source'], { cwd: directory.path, env: collecting() });
      expect(end).toMatchObject({ exitCode: 0, error: '' });
      const outer = spans.find(({ name }) => name === 'dfget');
      expect(spans.filter(({ name }) => name === 'GET')).toMatchObject([
        { traceId: outer?.traceId, parentSpanId: outer?.spanId },
      ]);
    } finally {
      await origin.close();
    }
  });

  it('shows a failed download as failed', async () => {
    await daemon.close();
    expect(
      (await dfget(collecting(), 'https://h/a', '-O', 'a', '--no-daemon', '--disable-back-to-source')).exitCode,
    ).toBe(1);
    expect(spans).toMatchObject([{ name: 'dfget', status: { code: 2 } }]);
  });

  it('is no reason to fail: neither a collector that is away nor variables that make no sense', async () => {
    const away = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
    expect((await dfget(away, 'https://h/a', '-O', 'a')).exitCode).toBe(0);
    const end = await dfget({ ...away, OTEL_EXPORTER_OTLP_PROTOCOL: 'smoke' }, 'https://h/a', '-O', 'b');
    expect(end.exitCode).toBe(0);
    expect(end.error).toMatch(/^dfget: warning: no span is made: OTEL_EXPORTER_OTLP_PROTOCOL: must be one of/);
    expect(daemon.requests).toHaveLength(2);
  });
});
