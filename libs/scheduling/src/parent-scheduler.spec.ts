import type { Host } from './host.js';
import { ParentScheduler } from './parent-scheduler.js';
import type { Peer } from './task.js';
import type { SeedGateway, SeedTriggerRequest } from './seed-gateway.js';
import type { SeedTrigger } from './source-lease.js';
import { defaultStrategy } from './strategy.js';
import type { Task } from './task.js';
import { aHost, aPeer, aTask, FakeClock, type PeerTraits } from './testing/index.js';
import type { ScheduleAnswer } from './waiter.js';

const STALL_MS = 60_000;
const WAIT_MS = 25_000;
const UNUSABLE_WAIT_MS = 2000;

/** Seeds that do what a test tells them. */
class FakeSeeds implements SeedGateway {
  readonly hosts: Host[] = [];
  readonly triggers: { readonly trigger: SeedTrigger; readonly request: SeedTriggerRequest }[] = [];

  add(): Host {
    const host = aHost({ isSeed: true });
    this.hosts.push(host);
    return host;
  }

  trigger(request: SeedTriggerRequest): SeedTrigger | undefined {
    const host = this.hosts.find((candidate) => !request.excludedHostIds.has(candidate.id));
    if (host === undefined) return undefined;
    const trigger: SeedTrigger = { hostId: host.id, isOpen: true };
    this.triggers.push({ trigger, request });
    return trigger;
  }
}

/** A scheduler on a fake clock, with what it has answered so far. */
class Bench {
  readonly clock = new FakeClock();
  readonly seeds = new FakeSeeds();
  readonly answers = new Map<Peer, ScheduleAnswer[]>();
  readonly scheduler: ParentScheduler;

  constructor(readonly task: Task = aTask()) {
    this.scheduler = new ParentScheduler({
      clock: this.clock,
      random: () => 0.5,
      seeds: this.seeds,
      limits: () => ({ candidateParentLimit: 3, filterParentLimit: 15, peerUploadLimit: 200, seedUploadLimit: 2000 }),
      strategyFor: () => defaultStrategy,
      sourceLimits: {
        stallTimeoutMs: STALL_MS,
        waitTimeoutMs: WAIT_MS,
        unusableHolderWaitMs: UNUSABLE_WAIT_MS,
        backToSourceCount: 200,
      },
    });
  }

  /** Registers a new peer of the task. */
  register(traits: PeerTraits = {}): Peer {
    const peer = aPeer({ task: this.task, ...traits });
    this.scheduler.registered(peer);
    this.schedule(peer);
    return peer;
  }

  schedule(peer: Peer): void {
    const answers = this.answers.get(peer) ?? [];
    this.answers.set(peer, answers);
    this.scheduler.schedule(peer, (answer) => answers.push(answer));
  }

  /** The answers so far, in short: `source`, `refused: code`, or the parents' ids. */
  told(peer: Peer): (string | string[])[] {
    return (this.answers.get(peer) ?? []).map((answer) => {
      switch (answer.kind) {
        case 'back-to-source':
          return 'source';
        case 'refused':
          return `refused: ${answer.code}`;
        case 'parents':
          return answer.parents.map((parent) => parent.id);
      }
    });
  }

  startAtSource(peer: Peer): void {
    peer.apply('DownloadBackToSource', this.clock.nowMs());
    this.scheduler.wentToSource(peer);
  }

  start(peer: Peer): void {
    if (peer.state !== 'Running') peer.apply('Download', this.clock.nowMs());
    this.scheduler.heardFrom(peer);
  }

  piece(peer: Peer, number: number): void {
    peer.pieces.add(number);
    this.scheduler.pieceFinished(peer, this.clock.nowMs());
  }

  succeed(peer: Peer): void {
    peer.apply('DownloadSucceeded', this.clock.nowMs());
    this.scheduler.succeeded(peer);
  }

  fail(peer: Peer): void {
    peer.apply('DownloadFailed', this.clock.nowMs());
    this.scheduler.failed(peer);
  }

  /** The n-th trigger. */
  trigger(index: number): SeedTriggerRequest {
    const found = this.seeds.triggers[index];
    if (found === undefined) throw new Error(`no trigger ${index}`);
    return found.request;
  }
}

describe('source lease without seeds', () => {
  it('sends exactly one of twenty peers to the source and lets the others wait', () => {
    const bench = new Bench();
    const peers = Array.from({ length: 20 }, () => bench.register());
    expect(peers.map((peer) => bench.told(peer))).toEqual([['source'], ...Array.from({ length: 19 }, () => [])]);
    expect(bench.scheduler.waitingCount).toBe(19);
  });

  it('answers the waiting peers in the very call that reports the first piece', () => {
    const bench = new Bench();
    const [holder, first, second] = [bench.register(), bench.register(), bench.register()];
    bench.startAtSource(holder);
    expect(bench.told(first)).toEqual([]);
    bench.piece(holder, 0);
    expect(bench.told(first)).toEqual([[holder.id]]);
    // The one that was answered before is a parent too: it is connected to the pieces.
    expect(new Set(bench.told(second)[0])).toEqual(new Set([holder.id, first.id]));
    expect(bench.scheduler.waitingCount).toBe(0);
    expect(bench.clock.pendingCount).toBe(0);
  });

  it('answers a peer that comes later at once', () => {
    const bench = new Bench();
    const holder = bench.register();
    bench.startAtSource(holder);
    bench.piece(holder, 0);
    expect(bench.told(bench.register())).toEqual([[holder.id]]);
    bench.succeed(holder);
    expect(bench.told(bench.register())[0]).toContain(holder.id);
  });

  it('answers a thousand waiting peers, a batch a turn, and builds more than a star', () => {
    const bench = new Bench();
    const holder = bench.register();
    const peers = Array.from({ length: 1000 }, () => bench.register());
    bench.startAtSource(holder);
    bench.piece(holder, 0);
    expect(bench.scheduler.waitingCount).toBeGreaterThan(0);
    bench.clock.advance(0);
    expect(bench.scheduler.waitingCount).toBe(0);
    expect(peers.every((peer) => bench.told(peer).length === 1)).toBe(true);
    expect(holder.children?.size ?? 0).toBeLessThan(500);
  });

  it.each<[string, (bench: Bench, holder: Peer) => void]>([
    [
      'fails',
      (bench, holder) => {
        bench.fail(holder);
      },
    ],
    [
      'is cut off',
      (bench, holder) => {
        bench.scheduler.detached(holder);
      },
    ],
    [
      'is deleted',
      (bench, holder) => {
        bench.scheduler.removing(holder);
      },
    ],
    [
      'leaves',
      (bench, holder) => {
        holder.apply('Leave', 0);
        bench.scheduler.left(holder);
      },
    ],
  ])('passes to the peer that waits longest when the holder %s', (_name, end) => {
    const bench = new Bench();
    const [holder, first, second] = [bench.register(), bench.register(), bench.register()];
    bench.startAtSource(holder);
    end(bench, holder);
    expect(bench.told(first)).toEqual(['source']);
    expect(bench.told(second)).toEqual([]);
    bench.startAtSource(first);
    bench.piece(first, 0);
    expect(bench.told(second)).toEqual([[first.id]]);
  });

  it('is not lost when the holder finishes: the others have their parent', () => {
    const bench = new Bench();
    const [holder, waiting] = [bench.register(), bench.register()];
    bench.startAtSource(holder);
    bench.succeed(holder);
    expect(bench.told(waiting)).toEqual([[holder.id]]);
    expect(bench.scheduler.leaseOf(bench.task)).toBeUndefined();
  });

  it('a holder that was silent for the wait time loses it to the first that waits', () => {
    const bench = new Bench();
    const [holder, first, second] = [bench.register(), bench.register(), bench.register()];
    bench.startAtSource(holder);
    bench.clock.advance(WAIT_MS - 1);
    expect(bench.told(first)).toEqual([]);
    bench.clock.advance(1);
    expect(bench.told(first)).toEqual(['source']);
    expect(bench.told(second)).toEqual([]);
    bench.clock.advance(WAIT_MS);
    expect(bench.told(second)).toEqual(['source']);
  });

  it('a sign of life prolongs the wait', () => {
    const bench = new Bench(aTask({ contentLengthBytes: undefined }));
    const [holder, waiting] = [bench.register(), bench.register()];
    bench.startAtSource(holder);
    for (let number = 0; number < 10; number++) {
      bench.clock.advance(WAIT_MS - 1);
      bench.piece(holder, number);
    }
    expect(bench.told(waiting)).toEqual([]);
    bench.clock.advance(WAIT_MS);
    expect(bench.told(waiting)).toEqual(['source']);
  });

  it('a stalled holder loses it, later with longer pieces', () => {
    for (const [pieceLengthMib, factor] of [
      [4, 1],
      [16, 4],
    ] as const) {
      const bench = new Bench(aTask({ pieceLengthBytes: pieceLengthMib * 1024 * 1024 }));
      const holder = bench.register();
      bench.startAtSource(holder);
      bench.clock.advance(STALL_MS * factor - 1);
      const early = bench.register();
      expect(bench.told(early)).toEqual([]);
      bench.clock.advance(1);
      expect(bench.told(early)).toEqual(['source']);
    }
  });

  it('a peer that registers after the stall gets it at once', () => {
    const bench = new Bench();
    bench.startAtSource(bench.register());
    bench.clock.advance(STALL_MS);
    expect(bench.told(bench.register())).toEqual(['source']);
  });

  it('a waiting peer that goes away is not answered and not counted', () => {
    const bench = new Bench();
    const [holder, gone, next] = [bench.register(), bench.register(), bench.register()];
    bench.scheduler.detached(gone);
    bench.fail(holder);
    expect(bench.told(gone)).toEqual([]);
    expect(bench.told(next)).toEqual(['source']);
    expect(bench.scheduler.waitingCount).toBe(0);
  });

  it('nobody is offered before the length is known; then all are', () => {
    const bench = new Bench(aTask({ contentLengthBytes: undefined }));
    const [holder, waiting] = [bench.register(), bench.register()];
    bench.startAtSource(holder);
    bench.piece(holder, 0);
    expect(bench.told(waiting)).toEqual([]);
    bench.task.contentLengthBytes = 5;
    bench.succeed(holder);
    expect(bench.told(waiting)).toEqual([[holder.id]]);
  });
});

describe('peers with special wishes', () => {
  it('one that asks for the source gets it when it is free, and parents otherwise', () => {
    const bench = new Bench();
    const holder = bench.register({ needsBackToSource: true });
    expect(bench.told(holder)).toEqual(['source']);
    bench.startAtSource(holder);
    bench.piece(holder, 0);
    expect(bench.told(bench.register({ needsBackToSource: true }))).toEqual([[holder.id]]);
    bench.succeed(holder);
    expect(bench.told(bench.register({ needsBackToSource: true }))).toEqual(['source']);
  });

  it('one that must not go to the source waits for the others, and is refused when nobody comes', () => {
    const bench = new Bench();
    const alone = bench.register({ isBackToSourceDisabled: true });
    bench.clock.advance(WAIT_MS - 1);
    expect(bench.told(alone)).toEqual([]);
    const holder = bench.register();
    expect(bench.told(holder)).toEqual(['source']);
    bench.clock.advance(1);
    bench.startAtSource(holder);
    bench.piece(holder, 0);
    expect(bench.told(alone)).toEqual([[holder.id]]);

    const lonely = new Bench();
    const peer = lonely.register({ isBackToSourceDisabled: true });
    lonely.clock.advance(WAIT_MS);
    expect(lonely.told(peer)).toEqual(['refused: failed-precondition']);
  });

  it.each([
    [1, 'refused: failed-precondition'],
    [2, 'refused: not-found'],
    [3, 'source'],
  ] as const)('LEVEL%d: the first peer of a task is told %p, with and without seeds', (priority, expected) => {
    for (const seeds of [0, 1]) {
      const bench = new Bench();
      if (seeds > 0) bench.seeds.add();
      expect(bench.told(bench.register({ priority }))).toEqual([expected]);
      expect(bench.seeds.triggers).toHaveLength(0);
    }
  });

  it('LEVEL1 and LEVEL2 peers get parents when there are some', () => {
    const bench = new Bench();
    const parent = aPeer({ task: bench.task, state: 'Succeeded' });
    expect(bench.told(bench.register({ priority: 1 }))).toEqual([[parent.id]]);
  });

  it('a peer on the holder’s own host does not wait for it for long', () => {
    const bench = new Bench();
    const holder = bench.register();
    bench.startAtSource(holder);
    const twin = bench.register({ host: holder.host });
    bench.clock.advance(UNUSABLE_WAIT_MS - 1);
    expect(bench.told(twin)).toEqual([]);
    bench.clock.advance(1);
    expect(bench.told(twin)).toEqual(['source']);
  });

  it('a peer that cannot be scheduled in its state is refused', () => {
    const bench = new Bench();
    expect(bench.told(bench.register({ state: 'Succeeded' }))).toEqual(['refused: failed-precondition']);
  });
});

describe('reschedule', () => {
  it('does not offer a blocked parent again', () => {
    const bench = new Bench();
    const parents = [aPeer({ task: bench.task, state: 'Succeeded' }), aPeer({ task: bench.task, state: 'Succeeded' })];
    const child = bench.register();
    const [bad, good] = parents;
    if (bad === undefined || good === undefined) throw new Error('two parents were made');
    expect(new Set(bench.told(child)[0])).toEqual(new Set([bad.id, good.id]));
    child.blockParent(bad.id);
    bench.schedule(child);
    expect(bench.told(child)[1]).toEqual([good.id]);
    expect(bad.host.concurrentUploadCount).toBe(0);
  });

  it('with every parent blocked and the source free, the peer goes to the source', () => {
    const bench = new Bench();
    const parent = aPeer({ task: bench.task, state: 'Succeeded' });
    const child = bench.register();
    child.blockParent(parent.id);
    bench.start(child);
    bench.schedule(child);
    expect(bench.told(child)).toEqual([[parent.id], 'source']);
  });

  it('with the lease holder blocked, the peer waits shortly for others and then goes to the source too', () => {
    const bench = new Bench();
    const holder = bench.register();
    bench.startAtSource(holder);
    bench.piece(holder, 0);
    const child = bench.register();
    bench.start(child);
    child.blockParent(holder.id);
    bench.schedule(child);
    bench.clock.advance(UNUSABLE_WAIT_MS);
    expect(bench.told(child)).toEqual([[holder.id], 'source']);
    // The lease is still the holder's; its source traffic is not thrown away.
    expect(bench.scheduler.leaseOf(bench.task)?.holder).toBe(holder);
  });
});

describe('seeds', () => {
  it('the seed is triggered once, and its registration gets the source', () => {
    const bench = new Bench();
    const host = bench.seeds.add();
    const peers = Array.from({ length: 5 }, () => bench.register());
    expect(bench.seeds.triggers).toHaveLength(1);
    expect(bench.trigger(0).requester).toBe(peers[0]);
    const seed = bench.register({ host, needsBackToSource: true });
    expect(bench.told(seed)).toEqual(['source']);
    bench.startAtSource(seed);
    bench.piece(seed, 0);
    expect(peers.map((peer) => bench.told(peer).length)).toEqual([1, 1, 1, 1, 1]);
    expect(bench.told(peers[0] as Peer)).toEqual([[seed.id]]);
  });

  it('a seed that has everything already serves at once', () => {
    const bench = new Bench();
    const host = bench.seeds.add();
    const waiting = bench.register();
    const seed = aPeer({ task: bench.task, host });
    bench.scheduler.registered(seed);
    bench.start(seed);
    bench.succeed(seed);
    expect(bench.told(waiting)).toEqual([[seed.id]]);
    bench.trigger(0).onEnd('finished');
    // It is asked again for the same task when it is needed.
    bench.scheduler.removing(seed);
    bench.task.removePeer(seed);
    bench.task.removePeer(waiting);
    bench.register();
    expect(bench.seeds.triggers).toHaveLength(2);
  });

  it('the next seed is tried when one cannot be reached, and the requester when none can', () => {
    const bench = new Bench();
    const [first, second] = [bench.seeds.add(), bench.seeds.add()];
    const peer = bench.register();
    bench.trigger(0).onEnd('unreachable');
    expect(bench.seeds.triggers.map(({ trigger }) => trigger.hostId)).toEqual([first.id, second.id]);
    expect(bench.told(peer)).toEqual([]);
    bench.trigger(1).onEnd('unreachable');
    expect(bench.told(peer)).toEqual(['source']);
  });

  it('after a seed has failed, the requester goes itself, and the seed is left alone for half an hour', () => {
    const bench = new Bench();
    const host = bench.seeds.add();
    const peer = bench.register();
    const seed = bench.register({ host, needsBackToSource: true });
    bench.startAtSource(seed);
    bench.fail(seed);
    expect(bench.told(peer)).toEqual(['source']);
    bench.trigger(0).onEnd('failed');
    bench.fail(peer);
    bench.clock.advance(29 * 60_000);
    const next = bench.register();
    expect(bench.told(next)).toEqual(['source']);
    bench.fail(next);
    bench.clock.advance(2 * 60_000);
    expect(bench.told(bench.register())).toEqual([]);
    expect(bench.seeds.triggers).toHaveLength(2);
  });

  it('a seed that keeps the task to itself counts as failed', () => {
    const bench = new Bench();
    bench.seeds.add();
    const peer = bench.register();
    bench.trigger(0).onSignOfLife();
    bench.trigger(0).onEnd('finished');
    expect(bench.told(peer)).toEqual(['source']);
  });

  it('the lease lives while the trigger’s stream does, even when the seed’s announce stream breaks', () => {
    const bench = new Bench();
    const host = bench.seeds.add();
    const peer = bench.register();
    const seed = bench.register({ host, needsBackToSource: true });
    bench.startAtSource(seed);
    bench.scheduler.detached(seed);
    expect(bench.told(peer)).toEqual([]);
    bench.trigger(0).onEnd('failed');
    expect(bench.told(peer)).toEqual(['source']);
  });

  it('a triggered seed that says nothing loses the lease after the wait time', () => {
    const bench = new Bench();
    bench.seeds.add();
    const peer = bench.register();
    bench.clock.advance(WAIT_MS / 2);
    bench.trigger(0).onSignOfLife();
    bench.clock.advance(WAIT_MS - 1);
    expect(bench.told(peer)).toEqual([]);
    bench.clock.advance(1);
    expect(bench.told(peer)).toEqual(['source']);
    // What it says afterwards does not matter any more.
    bench.trigger(0).onEnd('failed');
    expect(bench.scheduler.leaseOf(bench.task)?.holder).toBe(peer);
  });

  it('a seed that wants a task for itself triggers no other seed', () => {
    const bench = new Bench();
    const host = bench.seeds.add();
    expect(bench.told(bench.register({ host }))).toEqual(['source']);
    expect(bench.seeds.triggers).toHaveLength(0);
  });
});

it('after close nobody is answered and no timer is left', () => {
  const bench = new Bench();
  const [holder, waiting] = [bench.register(), bench.register()];
  expect(bench.clock.pendingCount).toBe(1);
  bench.scheduler.close();
  expect(bench.clock.pendingCount).toBe(0);
  bench.scheduler.detached(holder);
  bench.clock.advance(WAIT_MS);
  expect(bench.told(waiting)).toEqual([]);
});

it('a holder whose last piece was slow is still the parent of the others', () => {
  const bench = new Bench();
  const holder = bench.register();
  bench.startAtSource(holder);
  for (const cost of [1, 1, 1, 500]) holder.costs.add(cost);
  bench.piece(holder, 0);
  expect(bench.told(bench.register())).toEqual([[holder.id]]);
});

it('a peer whose stream broke is no parent unless it has finished', () => {
  const bench = new Bench();
  const holder = bench.register();
  bench.startAtSource(holder);
  bench.piece(holder, 0);
  bench.scheduler.detached(holder);
  expect(bench.told(bench.register())).toEqual(['source']);
  const finished = new Bench();
  const owner = finished.register();
  finished.startAtSource(owner);
  finished.succeed(owner);
  finished.scheduler.detached(owner);
  expect(finished.told(finished.register())).toEqual([[owner.id]]);
});
