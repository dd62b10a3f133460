import { readFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import { schedulerV2 } from '@dragonfly/proto';
import { createGrpcClient } from '@dragonfly/rpc';
import { silentLogger } from '@dragonfly/telemetry';
import { Content, CountingOrigin, waitFor, type TempDir } from '@dragonfly/testkit';
import { SchedulerLink } from '../src/scheduler/scheduler-link.js';
import { SourceHold } from '../src/source/source-hold.js';
import type { TestDaemon, TestDaemonOptions } from './test-daemon.js';
import { TestManager } from './test-manager.js';
import { TestNetwork } from './test-network.js';
import { backToSource, TestScheduler, type Tell } from './test-scheduler.js';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
const SMALL = new Content(2 * MIB);
const CONTENT = new Content(20 * MIB);

let network: TestNetwork;
let dir: TempDir;
let origin: CountingOrigin;
let scheduler: TestScheduler;

beforeEach(async () => {
  network = await TestNetwork.start();
  ({ dir, origin, scheduler } = network);
});

afterEach(() => network.stop());

const aDaemon = (name: string, options?: Partial<TestDaemonOptions>): Promise<TestDaemon> =>
  network.daemon(name, options);

function linkTo({ address }: TestScheduler): SchedulerLink {
  const connect = (to: string): schedulerV2.SchedulerClient => createGrpcClient(schedulerV2.SchedulerClient, to);
  return new SchedulerLink('scheduler', address, 1, connect, () => {});
}

const grantAll = (_request: unknown, tell: Tell): void => tell({ granted: true, reportInterval: { seconds: 5n } });

describe('a daemon that is about to read a source', () => {
  it('asks first, also for a small file past the scheduler, and announces what it has got', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    const url = origin.put('/small', SMALL);
    const daemon = await aDaemon('a');
    await daemon.get({ url, output: dir.file('out') });
    expect(scheduler.holds).toMatchObject([{ hostId: daemon.hostId, origin: new URL(url).origin, noWait: true }]);
    expect(scheduler.peers).toMatchObject([{ hostId: daemon.hostId, end: 'finished' }]);
    expect(scheduler.reportsOf(daemon.hostId, 'registerPeerRequest')[0]?.download?.metadataOnly).toBe(true);
  });

  it('asks the scheduler for parents when another host reads it', async () => {
    let reader = '';
    scheduler = await network.replaceScheduler(({ hostId }, tell) => {
      reader ||= hostId;
      tell(hostId === reader ? { granted: true } : { granted: false, reason: 'taken' });
    });
    const url = origin.put('/small', SMALL);
    const [a, b] = [await aDaemon('a'), await aDaemon('b')];
    await a.get({ url, output: dir.file('a.out') });
    const { traffic } = await b.get({ url, output: dir.file('b.out') });
    expect(traffic).toMatchObject({ fromSource: 0, fromPeers: SMALL.lengthBytes });
    expect(origin.bodyBytesSent('/small')).toBe(SMALL.lengthBytes);
  });

  it('asks again until the source is free when nobody else can serve it', async () => {
    let asked = 0;
    scheduler = await network.replaceScheduler((_request, tell) => {
      asked += 1;
      tell(asked < 3 ? { granted: false, reason: 'the origin is busy' } : { granted: true });
    });
    const url = origin.put('/file', CONTENT);
    const daemon = await aDaemon('a');
    await daemon.get({ url, output: dir.file('out') });
    expect(asked).toBe(3);
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('keeps to the number of requests and bytes that it is allowed, and to changes of that', async () => {
    const told: Tell[] = [];
    scheduler = await network.replaceScheduler((_request, tell) => {
      told.push(tell);
      tell({ granted: true, concurrentRequests: 1, bytesPerSecond: BigInt(8 * MIB) });
    });
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 16 * MIB });
    const daemon = await aDaemon('a');
    const startedAtMs = performance.now();
    const download = daemon.get({ url, output: dir.file('out') });
    await waitFor(() => origin.bodyBytesSent('/file') >= 12 * MIB, { what: 'more than half', intervalMs: 5 });
    // The first piece passes at once; the second and the third wait for their bytes to be allowed.
    expect(performance.now() - startedAtMs).toBeGreaterThan(700);
    const requestsUnderLimit = origin.requestsOf('/file').filter(({ method }) => method === 'GET').length;
    expect(requestsUnderLimit).toBeLessThanOrEqual(4);
    told[0]?.({ granted: true });
    await download;
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('stops reading when the lease is taken away, and goes on where it stopped when it has it again', async () => {
    const told: Tell[] = [];
    scheduler = await network.replaceScheduler((_request, tell) => {
      told.push(tell);
      tell({ granted: true });
    });
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: MIB / 2 });
    const daemon = await aDaemon('a');
    const download = daemon.get({ url, output: dir.file('out') });
    await waitFor(() => origin.bodyBytesSent('/file') > MIB, { what: 'the first bytes', intervalMs: 5 });
    told[0]?.({ granted: false, reason: 'silent' });
    await waitFor(() => told.length === 2, { what: 'the second lease' });
    await download;
    expect(scheduler.peers.map(({ end }) => end)).toEqual(['failed', 'finished']);
  });

  it('asks a scheduler of the plain protocol once, and goes as it is told', async () => {
    scheduler.policy = backToSource;
    const daemon = await aDaemon('a');
    for (const name of ['/one', '/two']) {
      await daemon.get({ url: origin.put(name, CONTENT), output: dir.file('out') });
      expect(origin.bodyBytesSent(name)).toBe(CONTENT.lengthBytes);
    }
    const link = linkTo(scheduler);
    const request = { hostId: 'h', taskId: 't', peerId: 'p', url: 'http://origin/file', log: silentLogger() };
    const answer = await SourceHold.ask(link, request, new AbortController().signal);
    expect([answer.kind, link.mayHave('source')]).toEqual(['unsupported', false]);
    link.reconnect();
    expect(link.mayHave('source')).toBe(true);
    link.close();
  });

  it('asks nobody for a download that has been given up: nobody would give the lease back', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    const link = linkTo(scheduler);
    const request = { hostId: 'h', taskId: 't', peerId: 'p', url: 'http://origin/file', log: silentLogger() };
    await expect(SourceHold.ask(link, request, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    // One that is asked after it comes after it.
    const next = await SourceHold.ask(link, { ...request, peerId: 'q' }, new AbortController().signal);
    expect([next.kind, scheduler.holds.map(({ peerId }) => peerId)]).toEqual(['granted', ['q']]);
    if (next.kind === 'granted') next.hold.release();
    link.close();
  });
});

describe('a daemon without any scheduler that it can reach', () => {
  const FORBID = {
    DRAGONFLY_DOWNLOAD__SOURCE_WITHOUT_SCHEDULER: 'forbid',
    DRAGONFLY_SCHEDULER__LOSS_PATIENCE: '100ms',
  };

  it('leaves the source alone when it is told to', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    const url = origin.put('/file', CONTENT);
    const daemon = await aDaemon('a', { settings: FORBID });
    await scheduler.stop();
    await expect(daemon.get({ url, output: dir.file('out') })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('download.sourceWithoutScheduler'),
    });
    expect(origin.bodyBytesSent('/file')).toBeLessThanOrEqual(1);
  });

  it('waits for one that was lost in the middle, and asks it', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    scheduler.policy = () => 'silence';
    const url = origin.put('/file', CONTENT);
    const daemon = await aDaemon('a');
    const download = daemon.get({ url, output: dir.file('out') });
    await waitFor(() => scheduler.peers.length === 1, { what: 'the registration' });
    const { port } = scheduler;
    await scheduler.stop();
    scheduler.hosts.clear();
    scheduler.policy = backToSource;
    await scheduler.serve(port);
    await download;
    expect(scheduler.peers.at(-1)).toMatchObject({ hostId: daemon.hostId, end: 'finished' });
    expect(scheduler.holds).toHaveLength(1);
  });

  it('tells the first one that appears what it reads, so that nobody else begins', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: MIB / 2 });
    const daemon = await aDaemon('a');
    const { port } = scheduler;
    await scheduler.stop();
    scheduler.hosts.clear();
    await waitFor(() => !daemon.engine.readiness.ready, { what: 'the daemon to notice' });
    const download = daemon.get({ url, output: dir.file('out') });
    await waitFor(() => origin.bodyBytesSent('/file') > MIB, { what: 'the source to be read' });
    scheduler.policy = backToSource;
    await scheduler.serve(port);
    await download;
    const [told] = scheduler.peers;
    expect(told).toMatchObject({ hostId: daemon.hostId, end: 'finished' });
    expect(told?.reports[0]).toMatchObject({ value: { download: { needBackToSource: true } } });
    expect(scheduler.reportsOf(daemon.hostId, 'downloadPieceBackToSourceFinishedRequest')).toHaveLength(5);
    expect(scheduler.holds).toHaveLength(1);
    expect(origin.bodyBytesSent('/file')).toBe(CONTENT.lengthBytes);
  });

  it('stops reading when the first one that appears knows who has the content', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    const url = origin.put('/file', CONTENT);
    const holder = await aDaemon('holder');
    await holder.get({ url, output: dir.file('holder.out') });
    const daemon = await aDaemon('a');
    const { port } = scheduler;
    await scheduler.stop();
    await waitFor(() => !daemon.engine.readiness.ready, { what: 'the daemon to notice' });
    origin.put('/file', { content: CONTENT, bytesPerSecond: MIB / 2 });
    const download = daemon.get({ url, output: dir.file('out') });
    await waitFor(() => origin.bodyBytesSent('/file') > CONTENT.lengthBytes + MIB, { what: 'the source to be read' });
    await scheduler.serve(port);
    const { traffic } = await download;
    expect(traffic.fromPeers).toBeGreaterThan(0);
    expect(traffic.fromPeers + traffic.fromSource).toBe(CONTENT.lengthBytes);
    expect(origin.bodyBytesSent('/file')).toBeLessThan(2 * CONTENT.lengthBytes);
    expect(readFileSync(dir.file('out')).equals(CONTENT.slice())).toBe(true);
  });

  it('asks the manager at once whether others have taken over, and does as they say', async () => {
    const manager = await TestManager.start();
    scheduler = await network.replaceScheduler(grantAll);
    const first = await TestScheduler.start();
    manager.schedulers = [{ hostname: 'first', ip: '127.0.0.1', port: first.port }];
    const daemon = await aDaemon('a', {
      schedulers: [],
      settings: { DRAGONFLY_MANAGER__ADDR: `http://127.0.0.1:${manager.port}` },
    });
    try {
      await daemon.engine.readiness.whenReady(AbortSignal.timeout(10_000));
      manager.schedulers = [{ hostname: 'second', ip: '127.0.0.1', port: scheduler.port }];
      await first.stop();
      const url = origin.put('/file', CONTENT);
      await daemon.get({ url, output: dir.file('out') });
      expect(scheduler.peers).toMatchObject([{ hostId: daemon.hostId, end: 'finished' }]);
    } finally {
      await manager.stop();
    }
  });
});

describe('news of a scheduler', () => {
  it('bring a second parent to a download that has a slow one, and that takes its share', async () => {
    scheduler = await network.replaceScheduler(grantAll);
    const url = origin.put('/file', CONTENT);
    const slow = await aDaemon('slow', { settings: { DRAGONFLY_UPLOAD__BANDWIDTH_LIMIT: '1MiB' } });
    const fast = await aDaemon('fast');
    for (const daemon of [slow, fast]) {
      scheduler.policy = backToSource;
      await daemon.get({ url, output: dir.file(`${daemon.hostId}.out`) });
    }
    const [slowPeer, fastPeer] = scheduler.peers;
    if (slowPeer === undefined || fastPeer === undefined) throw new Error('two peers have registered');
    const only = scheduler.candidate(slowPeer);
    scheduler.policy = () => ({ $case: 'normalTaskResponse', value: { candidateParents: [only] } });
    // Two pieces at a time: the others are not promised to the slow parent yet when the second one comes.
    const child = await aDaemon('child', { settings: { DRAGONFLY_DOWNLOAD__CONCURRENT_PIECE_COUNT: '2' } });
    await waitFor(() => scheduler.listeners.has(child.hostId), { what: 'the child to listen' });
    const download = child.get({ url, output: dir.file('out') });
    await waitFor(() => scheduler.peers.at(-1)?.reports.some(({ $case }) => $case === 'downloadPeerStartedRequest'), {
      what: 'the download from the slow parent',
    });
    const peer = scheduler.peers.at(-1);
    scheduler.listeners.get(child.hostId)?.send({
      taskId: peer?.taskId ?? '',
      peerId: peer?.peerId ?? '',
      push: { $case: 'parents', value: { candidateParents: [scheduler.candidate(fastPeer)] } },
    });
    await download;
    const parents = scheduler
      .reportsOf(child.hostId, 'downloadPieceFinishedRequest')
      .map(({ piece }) => piece?.parentId ?? '');
    expect(parents).toHaveLength(5);
    expect(parents).toContain(fastPeer.peerId);
    expect(scheduler.reportsOf(child.hostId, 'reschedulePeerRequest')).toEqual([]);
  });
});
