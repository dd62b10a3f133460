import { randomBytes } from 'node:crypto';
import { Content, type CountingOrigin, waitFor } from '@dragonfly/testkit';
import { ClusterSite } from './cluster-site.js';
import type { LocalCluster } from './local-cluster.js';
import type { ManagerRest } from './manager-rest.js';
import { OtlpCollector } from './otlp-collector.js';

const MIB = 1024 * 1024;
const START_TIMEOUT_MS = 240_000;
const TEST_TIMEOUT_MS = 90_000;

describe('spans of a local cluster', () => {
  let collector: OtlpCollector;
  let site: ClusterSite;
  let cluster: LocalCluster;
  let origin: CountingOrigin;
  let rest: ManagerRest;

  beforeAll(async () => {
    collector = await OtlpCollector.start();
    site = await ClusterSite.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '200',
    });
    ({ cluster, origin, rest } = site);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    try {
      await site.stop();
    } finally {
      await collector.close();
    }
  }, TEST_TIMEOUT_MS);

  it(
    "are one trace for a preheat: the caller's, through manager, scheduler and seed peer to the origin and back",
    async () => {
      const url = origin.put('/model.bin', new Content(9 * MIB, 3));
      const traceId = randomBytes(16).toString('hex');
      const callerSpanId = randomBytes(8).toString('hex');
      await rest.request(
        'POST',
        '/api/v1/jobs',
        { type: 'preheat', args: { type: 'file', url: `${url}?signature=not-to-be-shown` } },
        { traceparent: `00-${traceId}-${callerSpanId}-01` },
      );
      // Each process sends its own spans in its own time: the trace is there when the way back to the caller is.
      const way = await waitFor(
        () => {
          const request = collector.trace(traceId, 'seed-peer').find(({ name }) => name === 'GET');
          const spans = request && collector.wayTo(request);
          return spans?.[0]?.parentSpanId === callerSpanId && spans;
        },
        { what: "the way from the caller's span to the origin", timeoutMs: 30_000, intervalMs: 100 },
      );
      expect(way.at(-1)?.attributes).toMatchObject({ 'http.response.status_code': '206', 'url.full': url });
      expect(way.map(({ service, name }) => `${service}: ${name}`)).toEqual([
        'manager: POST /api/v1/jobs',
        'manager: job preheat',
        'manager: dragonfly.ext.v1.JobService/RunJob',
        'scheduler: dragonfly.ext.v1.JobService/RunJob',
        'scheduler: dfdaemon.v2.DfdaemonUpload/DownloadTask',
        'seed-peer: dfdaemon.v2.DfdaemonUpload/DownloadTask',
        'seed-peer: GET',
      ]);
      await waitFor(
        () => {
          const conversations = collector.trace(traceId).filter(({ name }) => name.endsWith('/AnnouncePeer'));
          return new Set(conversations.map(({ service }) => service)).size === 2;
        },
        { what: "both sides of the seed peer's conversation with the scheduler", timeoutMs: 30_000, intervalMs: 100 },
      );
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'are one trace for a download: from dfget through the peer to the seed peer that a scheduler sent to the origin',
    async () => {
      const url = origin.put('/other.bin', new Content(9 * MIB, 4));
      const download = await cluster.download(url);
      expect(download.status).toBe(0);
      const taskId = download.report?.taskId ?? '';
      // dfget itself sends its span before it ends.
      const outermost = collector.spans.find(
        ({ service, attributes }) => service === 'dfget' && attributes['url.full'] === url,
      );
      expect(outermost).toMatchObject({ name: 'dfget', parentSpanId: '' });
      const way = await waitFor(
        () => {
          const request = collector.trace(outermost?.traceId ?? '', 'seed-peer').find(({ name }) => name === 'GET');
          const spans = request && collector.wayTo(request);
          return spans?.[0] === outermost && spans;
        },
        { what: 'the way from dfget to the origin', timeoutMs: 30_000, intervalMs: 100 },
      );
      expect(way.map(({ service, name }) => `${service}: ${name}`)).toEqual([
        'dfget: dfget',
        'peer: download_task',
        'peer: scheduler.v2.Scheduler/AnnouncePeer',
        'scheduler: scheduler.v2.Scheduler/AnnouncePeer',
        'scheduler: dfdaemon.v2.DfdaemonUpload/DownloadTask',
        'seed-peer: dfdaemon.v2.DfdaemonUpload/DownloadTask',
        'seed-peer: GET',
      ]);
      const [, first = outermost] = way;
      if (first === undefined) throw new Error('there is no span of the peer');
      expect(first.attributes).toMatchObject({ task_id: taskId, 'http.url': url });
      const pieces = collector.trace(first.traceId, 'peer').filter(({ name }) => name === 'download_piece');
      expect(pieces.map(({ attributes }) => attributes['piece_number']).sort()).toEqual(['0', '1', '2']);
      // The peer itself asks the origin for no byte.
      expect(collector.trace(first.traceId, 'peer').filter(({ name }) => name === 'GET')).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  it('tell no secret, and nothing of probes', () => {
    expect(JSON.stringify(collector.spans)).not.toContain('not-to-be-shown');
    expect(collector.spans.filter(({ name }) => /healthy|readyz|grpc\.health|KeepAlive|Subscribe/.test(name))).toEqual(
      [],
    );
  });
});
