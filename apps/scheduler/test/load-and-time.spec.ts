import { FakeClock } from '@dragonfly/scheduling/testing';
import { schedulerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import { waitFor } from '@dragonfly/testkit';
import { aDownload, aHost } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

const HOUR_MS = 3_600_000;
const CROWD = 10_000;
/** What one announced host may take: its announcement, as an object and in two forms. */
const MAX_BYTES_PER_HOST = 16_000;
/** For 10,000 announcements without their transport; they take about 0.2 s when the machine is idle. */
const MAX_CROWD_MS = 10_000;

describe('many hosts', () => {
  it('10,000 that announce themselves at once cost bounded time and memory, and again nothing more', async () => {
    await using cluster = await TestCluster.start();
    const { hosts, state } = cluster.app.core;
    const announceAll = (): void => {
      for (let i = 0; i < CROWD; i++) {
        hosts.announce({ host: aHost(`host-${i}`), interval: { seconds: 300n, nanos: 0 } });
      }
    };
    const memory = (): number => {
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    };
    const [beforeBytes, startedAtMs] = [memory(), performance.now()];
    announceAll();
    expect(performance.now() - startedAtMs).toBeLessThan(MAX_CROWD_MS);
    expect(state.resources.hosts.size).toBe(CROWD);
    expect(memory() - beforeBytes).toBeLessThan(CROWD * MAX_BYTES_PER_HOST);
    announceAll();
    expect(state.resources.hosts.size).toBe(CROWD);
    expect(await cluster.listHosts()).toHaveLength(CROWD);
    for (const host of [...state.resources.hosts.values()]) hosts.delete({ hostId: host.id });
    expect(state.resources.hosts.size).toBe(0);
  }, 60_000);

  it('calls beyond the rate are refused with RESOURCE_EXHAUSTED, and later ones are served', async () => {
    await using cluster = await TestCluster.start({ changes: { SERVER__REQUEST_RATE_LIMIT: '50' } });
    const list = (): Promise<unknown> =>
      unary<schedulerV2.ListHostsRequest, schedulerV2.ListHostsResponse>(
        cluster.client.listHosts.bind(cluster.client),
        {},
        { deadlineMs: 10_000 },
      );
    const results = await Promise.allSettled(Array.from({ length: 300 }, list));
    const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'resource-exhausted' });
    await waitFor(
      () =>
        list().then(
          () => true,
          () => false,
        ),
      { what: 'the rate to allow a call again' },
    );
  });

  it('ids longer than any real one are refused', async () => {
    await using cluster = await TestCluster.start();
    await expect(cluster.host('x'.repeat(1100))).rejects.toMatchObject({ code: 'invalid-argument' });
    const peer = await cluster.peer('t'.repeat(1100));
    await peer.register();
    expect(await peer.end()).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('task_id') });
    expect(cluster.app.core.state.resources.tasks.size).toBe(0);
  });
});

describe('streams', () => {
  it('that stall are ended by the wait for a parent, and one that vanishes frees the source for the next', async () => {
    const clock = new FakeClock();
    await using cluster = await TestCluster.start({ clock });
    const silent = await cluster.peer('task');
    await silent.register();
    expect((await silent.answer()).$case).toBe('needBackToSourceResponse');
    await silent.sourceStarted();
    const waiting = await cluster.peer('task');
    await waiting.register();
    await waitFor(() => cluster.app.core.state.scheduler.waitingCount === 1, { what: 'the peer to wait' });
    // The holder says nothing: its lease ends, and is asked for again, each step by a timer.
    await waitFor(
      async () => {
        clock.advance(5_000);
        return waiting.hasAnswer();
      },
      { what: 'the waiting peer to be told' },
    );
    expect((await waiting.answer()).$case).toBe('needBackToSourceResponse');
    const third = await cluster.peer('task');
    await third.register();
    await waitFor(() => cluster.app.core.state.scheduler.waitingCount === 1, { what: 'the third to wait' });
    waiting.cancel();
    await waitFor(
      async () => {
        clock.advance(1_000);
        return third.hasAnswer();
      },
      { what: 'the next peer to be told' },
    );
    expect((await third.answer()).$case).toBe('needBackToSourceResponse');
  });
});

describe('the clock', () => {
  it('put forward by a day forgets what is old and serves what comes', async () => {
    const clock = new FakeClock();
    await using cluster = await TestCluster.start({ clock });
    await cluster.host('old', {}, 300);
    const before = await cluster.peer('task');
    await before.register();
    await before.answer();
    clock.advance(25 * HOUR_MS);
    expect(await cluster.listHosts()).not.toContain('127.0.0.1-old');
    const after = await cluster.peer('task', await cluster.host('new'));
    await after.register();
    expect((await after.answer()).$case).toBe('needBackToSourceResponse');
  });

  it('put back by hours fails no download and forgets no host', async () => {
    const clock = new FakeClock();
    await using cluster = await TestCluster.start({ clock });
    const hostId = await cluster.host('steady', {}, 300);
    const parent = await cluster.peer('task', hostId);
    await parent.register();
    await parent.answer();
    await parent.sourceStarted();
    clock.advance(-5 * HOUR_MS);
    for (const number of [0, 1, 2]) await parent.sourcePiece(number);
    await parent.sourceFinished();
    expect(await parent.end()).toBe('OK');
    const child = await cluster.peer('task');
    await child.register(aDownload());
    expect(await child.parents()).toHaveLength(1);
    await child.started();
    await child.finished();
    expect(await child.end()).toBe('OK');
    cluster.app.core.garbage.collectPeers();
    cluster.app.core.garbage.collectHosts();
    expect(await cluster.listHosts()).toContain(hostId);
    const { cost } = await cluster.statPeer(parent.id);
    expect(cost?.seconds).toBeGreaterThanOrEqual(0n);
  });
});
