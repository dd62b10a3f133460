import { commonV2, type DeepPartial, managerV2, schedulerV2 } from '@dragonfly/proto';
import { BidiCall, createGrpcClient, unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { OriginalManager, OriginalScheduler } from './index.js';
import { nextState, PEER_TRANSITIONS, type PeerEvent, type PeerState } from './scheduler/states.js';

const CALL = { deadlineMs: 10_000 };
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

type Report = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;

async function aScheduler(figures: Parameters<typeof OriginalScheduler.start>[0] = {}) {
  const scheduler = await OriginalScheduler.start({ random: () => 0.5, ...figures });
  undo.push(() => scheduler.stop());
  const client = createGrpcClient(schedulerV2.SchedulerClient, `127.0.0.1:${scheduler.port}`);
  undo.push(() => client.close());
  const announce = (id: string, change: DeepPartial<commonV2.Host> = {}): Promise<unknown> =>
    unary<schedulerV2.AnnounceHostRequest, object>(
      client.announceHost.bind(client),
      { host: { id, hostname: id, ip: '127.0.0.1', port: 8001, downloadPort: 8001, ...change } },
      CALL,
    );
  const peer = (hostId: string, peerId: string, taskId = 'task') => {
    const call = BidiCall.open<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>(
      client.announcePeer.bind(client),
    );
    const answers = call.messages();
    return {
      say: (request: Report) => call.send({ hostId, taskId, peerId, request }),
      next: async () => (await answers.next()).value?.response,
      isClosed: async () => (await answers.next()).done,
    };
  };
  return { scheduler, client, announce, peer };
}

function register(change: DeepPartial<commonV2.Download> = {}): Report {
  const download = commonV2.Download.fromPartial({
    url: 'http://origin/file',
    actualContentLength: 9_000_000n,
    actualPieceLength: 4_194_304n,
    actualPieceCount: 3n,
    ...change,
  });
  return { $case: 'registerPeerRequest', value: { download } };
}

describe('the stand-in for the original scheduler', () => {
  it('sends the first peer to the source after the delay of its registration, the next one to the first', async () => {
    const { announce, peer } = await aScheduler();
    await Promise.all([announce('h1'), announce('h2')]);
    const first = peer('h1', 'p1');
    const beganAtMs = performance.now();
    await first.say(register());
    expect(await first.next()).toMatchObject({
      $case: 'needBackToSourceResponse',
      value: { description: "peer's NeedBackToSource is true" },
    });
    // d/2 + 0.5 d of d = 60 ms
    expect(performance.now() - beganAtMs).toBeGreaterThanOrEqual(55);
    await first.say({ $case: 'downloadPeerBackToSourceStartedRequest', value: {} });
    const second = peer('h2', 'p2');
    await second.say(register());
    expect(await second.next()).toMatchObject({
      $case: 'normalTaskResponse',
      value: { candidateParents: [{ id: 'p1', state: 'BackToSource', host: { id: 'h1' } }] },
    });
    await first.say({
      $case: 'downloadPeerBackToSourceFinishedRequest',
      value: { contentLength: 9_000_000n, pieceCount: 3 },
    });
    expect(await first.isClosed()).toBe(true);
  });

  it('sends a peer that finds nobody to the source after four tries', async () => {
    const { announce, peer } = await aScheduler({ figures: { retryIntervalMs: 20 } });
    await Promise.all([announce('h1'), announce('h2')]);
    // The task runs, and its only peer has nothing to give.
    const idle = peer('h1', 'p1');
    await idle.say(register());
    await idle.next();
    const waiting = peer('h2', 'p2');
    await waiting.say(register());
    expect(await waiting.next()).toMatchObject({
      value: { description: 'scheduling exceeded RetryBackToSourceLimit' },
    });
  });

  it('answers empty content, and content that is only announced, without scheduling', async () => {
    const { announce, peer } = await aScheduler();
    await announce('h1');
    const empty = peer('h1', 'p1', 'empty');
    await empty.say(register({ actualContentLength: 0n, actualPieceCount: 0n }));
    expect(await empty.next()).toMatchObject({ $case: 'emptyTaskResponse' });
    const known = peer('h1', 'p2', 'known');
    await known.say(register({ metadataOnly: true }));
    expect(await known.next()).toMatchObject({ $case: 'metadataOnlyResponse' });
  });

  it.each<[string, string, Report, string, string]>([
    ['an unknown host', 'stranger', register(), 'not-found', 'peer p9 not found'],
    [
      'a report before registering',
      'h1',
      { $case: 'downloadPeerStartedRequest', value: {} },
      'not-found',
      'peer p9 not found',
    ],
  ])('ends the stream for %s', async (_name, hostId, report, code, message) => {
    const { announce, peer } = await aScheduler();
    await announce('h1');
    const stranger = peer(hostId, 'p9');
    await stranger.say(report);
    await expect(stranger.next()).rejects.toMatchObject({ code, message });
  });

  it('refuses a peer id that it knows', async () => {
    const { announce, peer } = await aScheduler();
    await announce('h1');
    const first = peer('h1', 'p1');
    await first.say(register());
    await first.next();
    const again = peer('h1', 'p1');
    await again.say(register());
    await expect(again.next()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('event RegisterNormal inappropriate in current state') as string,
    });
  });

  it('knows no extension, and no persistent tasks without Redis', async () => {
    const { client } = await aScheduler();
    await expect(
      unary(client.statPersistentTask.bind(client), { hostId: 'h', taskId: 't' }, CALL),
    ).rejects.toMatchObject({ code: 'failed-precondition', message: 'redis is not enabled' });
    await expect(unary(client.statTask.bind(client), { hostId: 'h', taskId: 't' }, CALL)).rejects.toMatchObject({
      message: 'task t not found',
    });
  });

  it('keeps address and name of a host that it knows', async () => {
    const { client, announce } = await aScheduler();
    await announce('h1');
    await announce('h1', { ip: '127.0.0.9', hostname: 'other', type: 1 });
    const { hosts } = await unary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
      client.listHosts.bind(client),
      { type: 1 },
      CALL,
    );
    expect(hosts).toMatchObject([{ id: 'h1', ip: '127.0.0.1', hostname: 'h1', type: 1 }]);
  });
});

describe.each(Object.entries(PEER_TRANSITIONS))('a peer of the original at %s', (event, { from, to }) => {
  const states: PeerState[] = ['Pending', 'ReceivedNormal', 'Running', 'BackToSource', 'Succeeded', 'Failed', 'Leave'];
  it.each(states)('in state %s', (state) => {
    const move = (): PeerState => nextState(PEER_TRANSITIONS, state, event as PeerEvent);
    if (from.includes(state)) expect(move()).toBe(to);
    else expect(move).toThrow(`event ${event} inappropriate in current state ${state}`);
  });
});

describe('the stand-in for the original manager', () => {
  async function aManager() {
    const manager = await OriginalManager.start();
    undo.push(() => manager.stop());
    const client = createGrpcClient(managerV2.ManagerClient, manager.address);
    undo.push(() => client.close());
    const list = (schedulerClusterId = 0n): Promise<managerV2.ListSchedulersResponse> =>
      unary<managerV2.ListSchedulersRequest, managerV2.ListSchedulersResponse>(
        client.listSchedulers.bind(client),
        { sourceType: managerV2.SourceType.PEER_SOURCE, hostname: 'h', ip: '127.0.0.1', schedulerClusterId },
        CALL,
      );
    return { manager, client, list };
  }

  it('lists a scheduler while it keeps itself alive; by cluster id in any state', async () => {
    const { manager, list } = await aManager();
    const scheduler = await OriginalScheduler.start({ managerAddress: manager.address });
    const isActive = (): boolean => manager.schedulers[0]?.state === 'active';
    await waitFor(isActive, { what: 'the first keep-alive' });
    const { schedulers } = await list();
    expect(schedulers).toMatchObject([{ hostname: 'original-scheduler', port: scheduler.port, state: 'active' }]);
    expect(JSON.parse(schedulers[0]?.schedulerCluster?.clientConfig.toString() ?? '')).toEqual({ load_limit: 200 });
    await scheduler.stop();
    await waitFor(() => !isActive(), { what: 'the end of the keep-alives' });
    expect((await list()).schedulers).toEqual([]);
    expect((await list(1n)).schedulers).toMatchObject([{ state: 'inactive' }]);
  });

  it('answers what it does not have in the words of the original', async () => {
    const { client } = await aManager();
    await expect(
      unary(client.getScheduler.bind(client), { hostname: 'x', schedulerClusterId: 1n, ip: '127.0.0.1' }, CALL),
    ).rejects.toMatchObject({ code: 'internal', message: 'record not found' });
    await expect(
      unary(client.listApplications.bind(client), { sourceType: 1, hostname: 'x', ip: '127.0.0.1' }, CALL),
    ).rejects.toMatchObject({ code: 'not-found', message: 'application not found' });
  });
});
