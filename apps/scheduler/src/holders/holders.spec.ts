import { setImmediate as settle } from 'node:timers/promises';
import { asHostId } from '@dragonfly/ids';
import { createMemoryKv, type Kv } from '@dragonfly/kv';
import {
  type LeaseAuthority,
  type LeaseVerdict,
  type ParentScheduler,
  Resources,
  type Task,
} from '@dragonfly/scheduling';
import { aHost, aParentScheduler, aPeer, aTask, FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { HolderBoard } from './holder-board.js';
import { Holders } from './holders.js';

const HOSTS_COME_MS = 10_000;

const grantingAll: LeaseAuthority = {
  claim: (_reader, decide) => {
    decide({ kind: 'granted', handle: { passTo: () => undefined, release: () => undefined } });
  },
};

describe('a scheduler that is asked for a lease', () => {
  let clock: FakeClock;
  let kv: Kv;
  let resources: Resources;
  let scheduler: ParentScheduler;
  let holders: Holders;
  let board: HolderBoard;
  let task: Task;

  beforeEach(async () => {
    clock = new FakeClock();
    kv = createMemoryKv({ now: () => clock.nowMs() });
    resources = new Resources();
    const log = silentLogger();
    scheduler = aParentScheduler(clock);
    board = new HolderBoard({
      records: kv.records,
      prefix: 'scheduler:1:',
      name: 'other',
      isOwn: () => true,
      clock,
      log,
    });
    holders = new Holders({
      records: kv.records,
      clusterId: 1,
      name: 'this',
      resources,
      scheduler: () => scheduler,
      daemons: { stat: async () => undefined },
      remove: () => undefined,
      clock,
      log,
    });
    task = aTask();
    resources.tasks.set(task.id, task);
  });

  afterEach(async () => {
    holders.close();
    board.close();
    scheduler.close();
    await kv.close();
  });

  async function pass(durationMs: number): Promise<void> {
    clock.advance(durationMs);
    for (let turn = 0; turn < 10; turn += 1) await settle();
  }

  /** The other scheduler tells of a host that has the task. @returns the host's id */
  async function aHolderElsewhere(): Promise<string> {
    const told = aTask();
    const holder = aPeer({ task: told, state: 'Succeeded', host: aHost({}, 'holder-host') });
    Object.assign(told, { id: task.id });
    board.changed(told);
    await pass(100);
    return holder.host.id;
  }

  async function claimedBy(hostId: string): Promise<LeaseVerdict> {
    const verdict = Promise.withResolvers<LeaseVerdict>();
    const reader = { taskId: task.id, url: task.facts.url, hostId, peerId: 'reader' };
    holders.asking(grantingAll).claim(reader, verdict.resolve);
    return verdict.promise;
  }

  it('and was just started waits for a host that is said to have the task', async () => {
    const hostId = await aHolderElsewhere();
    expect(await claimedBy('reader-host')).toMatchObject({ kind: 'taken', holder: { hostId } });
  });

  it('does not make the host wait for itself', async () => {
    const hostId = await aHolderElsewhere();
    expect(await claimedBy(hostId)).toMatchObject({ kind: 'granted' });
  });

  it('does not wait when the host is known and has nothing', async () => {
    const hostId = await aHolderElsewhere();
    const host = aHost({}, 'holder-host');
    resources.hosts.set(asHostId(hostId), host);
    expect(await claimedBy('reader-host')).toMatchObject({ kind: 'granted' });
  });

  it('has stopped waiting when every living host has had the time to announce itself', async () => {
    await aHolderElsewhere();
    await pass(HOSTS_COME_MS);
    expect(await claimedBy('reader-host')).toMatchObject({ kind: 'granted' });
  });
});
