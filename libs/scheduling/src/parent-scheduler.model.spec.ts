import fc from 'fast-check';
import type { Host } from './host.js';
import { ParentScheduler } from './parent-scheduler.js';
import { noSeeds } from './seed-gateway.js';
import { defaultStrategy } from './strategy.js';
import type { Peer } from './task.js';
import { aHost, aPeer, aTask, FakeClock } from './testing/index.js';

const HOSTS = 8;
const WAIT_MS = 25_000;
const STALL_MS = 60_000;

/** What may happen to the n-th peer (modulo their number), or to time. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('register' as const), host: fc.nat(HOSTS - 1), isStrict: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom('start', 'source', 'piece', 'reschedule', 'succeed', 'fail', 'detach', 'remove'),
    peer: fc.nat(),
  }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One task under a scheduler, driven by random steps. */
class Model {
  readonly clock = new FakeClock();
  readonly task = aTask();
  readonly hosts: Host[] = Array.from({ length: HOSTS }, () => aHost());
  readonly peers: Peer[] = [];
  readonly unanswered = new Set<Peer>();
  readonly scheduler = new ParentScheduler({
    clock: this.clock,
    random: () => 0.3,
    seeds: noSeeds,
    limits: () => ({ candidateParentLimit: 3, filterParentLimit: 10, peerUploadLimit: 3, seedUploadLimit: 3 }),
    strategyFor: () => defaultStrategy,
    sourceLimits: {
      stallTimeoutMs: STALL_MS,
      waitTimeoutMs: WAIT_MS,
      unusableHolderWaitMs: 2000,
      backToSourceCount: 200,
    },
  });

  apply(next: Step): void {
    if (next.kind === 'time') {
      this.clock.advance(next.ms);
      return;
    }
    if (next.kind === 'register') {
      const host = this.hosts[next.host];
      if (host === undefined) return;
      const peer = aPeer({ task: this.task, host, isBackToSourceDisabled: next.isStrict });
      this.peers.push(peer);
      this.scheduler.registered(peer);
      this.schedule(peer);
      return;
    }
    const peer = this.peers[next.peer % Math.max(1, this.peers.length)];
    if (peer === undefined || !this.task.peers.has(peer.id)) return;
    const nowMs = this.clock.nowMs();
    switch (next.kind) {
      case 'start':
        if (!peer.can('Download')) return;
        peer.apply('Download', nowMs);
        this.scheduler.heardFrom(peer);
        return;
      case 'source':
        if (!peer.can('DownloadBackToSource') || this.unanswered.has(peer)) return;
        peer.apply('DownloadBackToSource', nowMs);
        this.scheduler.wentToSource(peer);
        return;
      case 'piece':
        peer.pieces.add(peer.pieces.size);
        this.scheduler.pieceFinished(peer, nowMs);
        return;
      case 'reschedule':
        if (this.unanswered.has(peer) || !peer.isAttached || peer.isDone) return;
        for (const parent of peer.parents) peer.blockParent(parent.id);
        this.schedule(peer);
        return;
      case 'succeed':
        if (!peer.can('DownloadSucceeded') || this.unanswered.has(peer)) return;
        peer.apply('DownloadSucceeded', nowMs);
        this.scheduler.succeeded(peer);
        return;
      case 'fail':
        if (!peer.can('DownloadFailed')) return;
        this.unanswered.delete(peer);
        peer.apply('DownloadFailed', nowMs);
        this.scheduler.failed(peer);
        return;
      case 'detach':
        this.unanswered.delete(peer);
        this.scheduler.detached(peer);
        return;
      case 'remove':
        this.unanswered.delete(peer);
        this.scheduler.removing(peer);
        this.task.removePeer(peer);
        return;
    }
  }

  schedule(peer: Peer): void {
    this.unanswered.add(peer);
    this.scheduler.schedule(peer, (answer) => {
      // Once, to a peer that has asked; and never with itself, its own host or a peer that it has blocked.
      expect(this.unanswered.delete(peer)).toBe(true);
      if (answer.kind !== 'parents') return;
      expect(answer.parents.length).toBeGreaterThan(0);
      expect(answer.parents.length).toBeLessThanOrEqual(3);
      for (const parent of answer.parents) {
        expect(parent.host).not.toBe(peer.host);
        expect(peer.hasBlocked(parent.id)).toBe(false);
      }
    });
  }

  check(): void {
    expect(this.scheduler.waitingCount).toBe(this.unanswered.size);
    const edges = new Map(this.hosts.map((host) => [host, 0]));
    for (const peer of this.task.peers.values()) {
      for (const below of peer.children ?? []) expect(below.level).toBeGreaterThan(peer.level);
      expect(this.task.descendantsOf(peer)?.has(peer)).toBe(false);
      for (const parent of peer.parents) {
        edges.set(parent.host, (edges.get(parent.host) ?? 0) + 1);
        expect(parent.children?.has(peer)).toBe(true);
        expect(this.task.peers.get(parent.id)).toBe(parent);
      }
      expect(peer.offerableSlot >= 0).toBe(this.task.offerable[peer.offerableSlot] === peer);
    }
    for (const [host, count] of edges) expect(host.concurrentUploadCount).toBe(count);
  }
}

it('whatever happens: no cycle, exact accounting, one answer for each question', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const model = new Model();
      for (const next of steps) {
        model.apply(next);
        model.check();
      }
    }),
    { numRuns: 30 },
  );
});

it('whatever happened: nobody waits for ever once everything is silent', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const model = new Model();
      for (const next of steps) model.apply(next);
      // Each of those who wait may be given the lease in turn, and be silent in turn.
      for (let rounds = model.unanswered.size + 1; rounds > 0; rounds--) model.clock.advance(WAIT_MS + STALL_MS);
      expect([...model.unanswered].map((peer) => peer.id)).toEqual([]);
      expect(model.clock.pendingCount).toBe(0);
    }),
    { numRuns: 200 },
  );
});
