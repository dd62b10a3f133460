import { schedulerV2 } from '@dragonfly/proto';
import { BidiCall, handleBidi, handleUnary, unary } from '../src/index.js';
import { aHost, CapturedLog, CleanUp, startScheduler, STREAM_WAYS } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());
const log = new CapturedLog();

type Announce = schedulerV2.AnnouncePeerRequest;

describe('request validation', () => {
  it('names the nested field of a unary request and does not call the handler', async () => {
    let calls = 0;
    const { client } = await startScheduler(cleanUp, {
      announceHost: handleUnary(async () => {
        calls++;
        return Promise.resolve({});
      }, log),
    });
    const announce = client.announceHost.bind(client);

    await expect(unary(announce, { host: aHost({ ip: 'nowhere' }) }, { deadlineMs: 5000 })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'AnnounceHostRequest.host.ip: must be an IP address',
    });
    await expect(unary(announce, {}, { deadlineMs: 5000 })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'AnnounceHostRequest.host: is required',
    });
    expect(calls).toBe(0);

    await unary(announce, { host: aHost() }, { deadlineMs: 5000 });
    expect(calls).toBe(1);
  });

  it.each(STREAM_WAYS)('ends a stream over %s at the first bad message and tells the handler', async (_, isDirect) => {
    const seen: string[] = [];
    const cancelled = Promise.withResolvers<void>();
    const { client } = await startScheduler(
      cleanUp,
      {
        announcePeer: handleBidi<Announce, schedulerV2.AnnouncePeerResponse>((stream) => {
          stream.onMessage((message) => seen.push(message.request?.$case ?? 'none'));
          stream.onEnd(() => seen.push('end'));
          stream.onCancel(cancelled.resolve);
        }, log),
      },
      { servesStreamsDirectly: isDirect },
    );
    const call = BidiCall.open(client.announcePeer.bind(client));
    await call.send({
      hostId: 'h',
      taskId: 't',
      peerId: 'p',
      request: { $case: 'downloadPeerStartedRequest', value: {} },
    });
    await call.send({
      hostId: 'h',
      taskId: 't',
      peerId: 'p',
      request: { $case: 'registerPeerRequest', value: { download: { url: 'no-scheme' } } },
    });

    await expect(call.messages().next()).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'AnnouncePeerRequest.register_peer_request.download.url: must be an absolute URI',
    });
    await cancelled.promise;
    expect(seen).toEqual(['downloadPeerStartedRequest']);
  });

  it('can be switched off', async () => {
    const { client } = await startScheduler(
      cleanUp,
      { statTask: handleUnary(async () => Promise.resolve({ id: 'answered' }), log) },
      { validate: false },
    );
    const task = await unary(client.statTask.bind(client), {}, { deadlineMs: 5000 });
    expect(task.id).toBe('answered');
  });

  it('lets a request without rules pass', async () => {
    const { client } = await startScheduler(cleanUp, {
      listHosts: handleUnary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
        async () => Promise.resolve({ hosts: [aHost()] }),
        log,
      ),
    });
    const { hosts } = await unary(client.listHosts.bind(client), { type: 1 }, { deadlineMs: 5000 });
    expect(hosts.map((host) => host.id)).toEqual(['h1']);
  });
});
