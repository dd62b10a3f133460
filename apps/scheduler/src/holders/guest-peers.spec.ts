import { setImmediate as settle } from 'node:timers/promises';
import { asHostId, asPeerId } from '@dragonfly/ids';
import { type ParentScheduler, type Peer, Resources, type Task } from '@dragonfly/scheduling';
import { aHost, aParentScheduler, aTask, FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { GuestPeers, type Holding } from './guest-peers.js';

const CONFIRM_MS = 2 * 60_000;
const SWEEP_MS = 30_000;

describe('GuestPeers', () => {
  let clock: FakeClock;
  let resources: Resources;
  let scheduler: ParentScheduler;
  let guests: GuestPeers;
  let task: Task;
  let holding: Holding;
  let pieceLengthBytes: number;

  beforeEach(() => {
    clock = new FakeClock();
    resources = new Resources();
    scheduler = aParentScheduler(clock);
    task = aTask();
    resources.tasks.set(task.id, task);
    const host = aHost({}, 'holder-host');
    resources.hosts.set(host.id, host);
    holding = 'complete';
    pieceLengthBytes = task.pieceLengthBytes;
    guests = new GuestPeers({
      board: {
        ask: async () => [
          {
            contentLengthBytes: task.contentLengthBytes ?? 0,
            pieceLengthBytes,
            pieceCount: task.pieceCount,
            holders: [
              { hostId: host.id, peerId: 'holder', isComplete: true },
              { hostId: 'not-announced-here', peerId: 'stranger', isComplete: true },
            ],
          },
        ],
      },
      resources,
      scheduler: () => scheduler,
      check: async () => holding,
      remove: (peer) => {
        scheduler.removing(peer);
        resources.removePeer(peer);
      },
      clock,
      log: silentLogger(),
    });
  });
  afterEach(() => {
    guests.close();
    scheduler.close();
  });

  const guest = (): Peer | undefined => resources.peers.get(asPeerId('holder'));

  async function pass(durationMs: number): Promise<void> {
    // A sweep sets the timer of the next one when it has ended.
    for (let passedMs = 0; passedMs < durationMs; passedMs += SWEEP_MS) {
      clock.advance(SWEEP_MS);
      for (let turn = 0; turn < 10; turn += 1) await settle();
    }
  }

  function childOf(parent: Peer): Peer {
    const host = aHost();
    resources.hosts.set(host.id, host);
    const child = resources.createPeer({ id: asPeerId('child'), task, host }, clock.nowMs());
    child.apply('RegisterNormal', clock.nowMs());
    task.attachToParents(child, [parent]);
    return child;
  }

  it('offers a host that says it has the task, and none that has not announced itself here', async () => {
    const unknown = await guests.lookFor(task.id);
    expect(task.offerable).toEqual([guest()]);
    expect(unknown).toEqual([{ hostId: 'not-announced-here', peerId: 'stranger', isComplete: true }]);
    expect(guest()?.state).toBe('Succeeded');
    expect(guests.takenInCount).toBe(1);
  });

  it('offers one that has a part as one that is at the source, without taking a lease for it', async () => {
    holding = 'part';
    await guests.lookFor(task.id);
    expect(guest()?.state).toBe('BackToSource');
    expect(task.offerable).toEqual([guest()]);
    expect(task.backToSourcePeers.size).toBe(0);
    expect(scheduler.leaseOf(task)).toBeUndefined();
  });

  it('offers nobody who has lost the task, or has another content under its id', async () => {
    holding = 'none';
    await guests.lookFor(task.id);
    holding = 'complete';
    pieceLengthBytes *= 2;
    await guests.lookFor(task.id);
    expect(task.peers.size).toBe(0);
  });

  it('forgets a guest that nobody fetches from', async () => {
    await guests.lookFor(task.id);
    await pass(CONFIRM_MS + SWEEP_MS);
    expect(guest()).toBeUndefined();
  });

  it('asks a guest again that somebody fetches from, and keeps it only if it still has the task', async () => {
    await guests.lookFor(task.id);
    const parent = guest();
    if (parent === undefined) throw new Error('no guest');
    const child = childOf(parent);
    await pass(CONFIRM_MS + SWEEP_MS);
    expect(guest()).toBe(parent);
    holding = 'none';
    await pass(CONFIRM_MS + SWEEP_MS);
    expect(guest()).toBeUndefined();
    expect(child.parents).toEqual([]);
  });

  it('gives way to the peer itself, under whatever id, and hands over those who fetch from it', async () => {
    await guests.lookFor(task.id);
    const parent = guest();
    if (parent === undefined) throw new Error('no guest');
    const child = childOf(parent);
    expect(guests.makeWay(asPeerId('came-by-itself'), task, child.host)).toEqual([]);
    expect(guests.makeWay(asPeerId('came-by-itself'), task, parent.host)).toEqual([child]);
    expect([...resources.peers.values()]).toEqual([child]);
    expect(guests.makeWay(asPeerId('came-by-itself'), task, parent.host)).toEqual([]);
  });

  it('takes no guest in on a host whose peer has come by itself, but on one whose peer has failed', async () => {
    const host = resources.hosts.get(asHostId('holder-host'));
    if (host === undefined) throw new Error('no host');
    const own = resources.createPeer({ id: asPeerId('came-by-itself'), task, host }, clock.nowMs());
    own.apply('RegisterNormal', clock.nowMs());
    holding = 'part';
    await guests.lookFor(task.id);
    expect(guest()).toBeUndefined();
    own.apply('DownloadFailed', clock.nowMs());
    await guests.lookFor(task.id);
    expect(guest()?.state).toBe('BackToSource');
  });
});
