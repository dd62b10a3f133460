import { once } from 'node:events';
import { DfError } from '@dragonfly/errors';
import { schedulerV2 } from '@dragonfly/proto';
import { status, type StatusObject } from '@grpc/grpc-js';
import { Registry } from 'prom-client';
import { callMetrics } from '../src/metrics.js';
import { handleBidi, handleUnary, unary } from '../src/index.js';
import { aHost, CapturedLog, CleanUp, RawCall, startScheduler, STREAM_WAYS } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());
const log = new CapturedLog();
const DEADLINE = { deadlineMs: 5000 };

/** A counted server, and how to read a counter of one of its methods. */
async function startCounted({ requestRateLimit = 0, servesStreamsDirectly = false } = {}) {
  const registry = new Registry();
  const counts = callMetrics(registry);
  const cancelled = Promise.withResolvers<void>();
  const fixture = await startScheduler(
    cleanUp,
    {
      announceHost: handleUnary(async () => ({}), log),
      statTask: handleUnary(async () => {
        throw new DfError('not-found', 'task t not found');
      }, log),
      announcePeer: handleBidi<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>((stream) => {
        stream.onMessage(() => stream.send({ response: { $case: 'emptyTaskResponse', value: {} } }));
        stream.onEnd(() => stream.end());
        stream.onCancel(() => cancelled.resolve());
      }, log),
      listHosts: handleUnary(() => new Promise<never>(() => undefined), log),
    },
    { counts, requestRateLimit, servesStreamsDirectly },
  );
  const counter = async (name: string, method: string, code?: string): Promise<number | undefined> => {
    const metric = await registry.getSingleMetric(`grpc_server_${name}_total`)?.get();
    return metric?.values.find(
      ({ labels }) => labels['grpc_method'] === method && (code === undefined || labels['grpc_code'] === code),
    )?.value;
  };
  return { ...fixture, registry, counter, cancelled: cancelled.promise };
}

/** A message that breaks no rule. */
const started: Partial<schedulerV2.AnnouncePeerRequest> = {
  hostId: 'h',
  taskId: 't',
  peerId: 'p',
  request: { $case: 'downloadPeerStartedRequest', value: {} },
};

describe('metrics of calls', () => {
  it('stand there with zeros, kind and full names before anybody has called', async () => {
    const { registry } = await startCounted();
    const text = await registry.metrics();
    expect(text).toContain(
      'grpc_server_started_total{grpc_type="bidi_stream",grpc_service="scheduler.v2.Scheduler",grpc_method="AnnouncePeer"} 0',
    );
    expect(text).toContain(
      'grpc_server_handled_total{grpc_type="unary",grpc_service="scheduler.v2.Scheduler",grpc_method="StatTask",grpc_code="OK"} 0',
    );
  });

  it('count unary calls and how they ended', async () => {
    const { client, counter } = await startCounted();
    for (let count = 0; count < 3; count += 1) {
      await unary(client.announceHost.bind(client), { host: aHost() }, DEADLINE);
    }
    const asked = unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, DEADLINE);
    await expect(asked).rejects.toMatchObject({ code: 'not-found' });

    expect(await counter('started', 'AnnounceHost')).toBe(3);
    expect(await counter('handled', 'AnnounceHost', 'OK')).toBe(3);
    expect(await counter('msg_received', 'AnnounceHost')).toBe(3);
    expect(await counter('msg_sent', 'AnnounceHost')).toBe(3);
    expect(await counter('handled', 'StatTask', 'NotFound')).toBe(1);
    expect(await counter('handled', 'StatTask', 'OK')).toBe(0);
  });

  it.each(STREAM_WAYS)(
    'count the messages of a stream over %s in both directions',
    async (_, servesStreamsDirectly) => {
      const { client, counter } = await startCounted({ servesStreamsDirectly });
      const call = client.announcePeer();
      for (let count = 0; count < 4; count += 1) call.write(started as schedulerV2.AnnouncePeerRequest);
      call.end();
      call.resume();
      await once(call, 'end');

      expect(await counter('msg_received', 'AnnouncePeer')).toBe(4);
      expect(await counter('msg_sent', 'AnnouncePeer')).toBe(4);
      expect(await counter('handled', 'AnnouncePeer', 'OK')).toBe(1);
    },
  );

  it('count what is refused before a handler sees it', async () => {
    const { client, counter } = await startCounted();
    const invalid = unary(client.announceHost.bind(client), { host: aHost({ ip: 'nowhere' }) }, DEADLINE);
    await expect(invalid).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(await counter('handled', 'AnnounceHost', 'InvalidArgument')).toBe(1);
  });

  it('count what is beyond the rate', async () => {
    const { client, counter } = await startCounted({ requestRateLimit: 1 });
    const calls = Array.from({ length: 5 }, () =>
      unary(client.announceHost.bind(client), { host: aHost() }, DEADLINE).catch(() => undefined),
    );
    await Promise.all(calls);
    expect(await counter('started', 'AnnounceHost')).toBe(5);
    expect(await counter('handled', 'AnnounceHost', 'ResourceExhausted')).toBeGreaterThan(0);
  });

  it.each(STREAM_WAYS)(
    'count a stream over %s whose caller has gone as cancelled, once',
    async (_, servesStreamsDirectly) => {
      const { client, counter, cancelled } = await startCounted({ servesStreamsDirectly });
      const call = client.announcePeer();
      call.on('error', () => undefined);
      call.write(started as schedulerV2.AnnouncePeerRequest);
      await once(call, 'data');
      call.cancel();
      await cancelled;
      expect(await counter('handled', 'AnnouncePeer', 'Canceled')).toBe(1);
      expect(await counter('handled', 'AnnouncePeer', 'OK')).toBe(0);
    },
  );

  it('count streams that are refused without the library', async () => {
    const { client, counter } = await startCounted({ requestRateLimit: 1, servesStreamsDirectly: true });
    const ends = Array.from({ length: 5 }, () => {
      const call = client.announcePeer();
      call.on('error', () => undefined);
      call.end();
      call.resume();
      return new Promise<StatusObject>((resolve) => call.once('status', resolve));
    });
    const refused = (await Promise.all(ends)).filter(({ code }) => code !== status.OK);
    expect(refused.length).toBeGreaterThan(0);
    for (const end of refused) expect(end).toMatchObject({ code: 8, details: 'too many requests' });
    expect(await counter('started', 'AnnouncePeer')).toBe(5);
    expect(await counter('handled', 'AnnouncePeer', 'ResourceExhausted')).toBe(refused.length);
  });

  it('tell a call that took too long from one that was cancelled', async () => {
    const { port, counter } = await startCounted();
    const call = new RawCall(port, '/scheduler.v2.Scheduler/ListHosts', { 'grpc-timeout': '50m' });
    expect(await call.send(Buffer.alloc(0)).halfClose().ended()).toBe(4);
    expect(await counter('handled', 'ListHosts', 'DeadlineExceeded')).toBe(1);
    expect(await counter('handled', 'ListHosts', 'Canceled')).toBeUndefined();
  });
});
