import type { LeaseAuthority, LeaseVerdict } from './lease-authority.js';
import { ParentScheduler } from './parent-scheduler.js';
import type { SeedTriggerRequest } from './seed-gateway.js';
import type { SeedTrigger } from './source-lease.js';
import { defaultStrategy } from './strategy.js';
import type { Peer } from './task.js';
import { aHost, aPeer, aTask, FakeClock } from './testing/index.js';

/** Grants when the test says so. */
class SlowAuthority implements LeaseAuthority {
  private readonly asked: ((verdict: LeaseVerdict) => void)[] = [];

  claim(_: unknown, decide: (verdict: LeaseVerdict) => void): void {
    this.asked.push(decide);
  }

  grant(): void {
    this.asked.shift()?.({ kind: 'granted', handle: { passTo: () => undefined, release: () => undefined } });
  }
}

function aBench() {
  const clock = new FakeClock();
  const authority = new SlowAuthority();
  const seed = aHost({ isSeed: true });
  const triggers: SeedTriggerRequest[] = [];
  const task = aTask();
  const told = new Map<Peer, string>();
  const scheduler = new ParentScheduler({
    clock,
    random: () => 0.5,
    seeds: {
      trigger: (request): SeedTrigger => {
        triggers.push(request);
        return { hostId: seed.id, isOpen: true };
      },
    },
    limits: () => ({ candidateParentLimit: 3, filterParentLimit: 15, peerUploadLimit: 200, seedUploadLimit: 2000 }),
    strategyFor: () => defaultStrategy,
    sourceLimits: { stallTimeoutMs: 60_000, waitTimeoutMs: 25_000, unusableHolderWaitMs: 2000, backToSourceCount: 200 },
    authority,
  });
  const register = (host = aHost()): Peer => {
    const peer = aPeer({ task, host });
    scheduler.registered(peer);
    scheduler.schedule(peer, (answer) => told.set(peer, answer.kind));
    return peer;
  };
  return { authority, seed, triggers, told, scheduler, register };
}

/** A seed joins all requests for a task: one that is triggered while it downloads the task goes on with that download. */
describe('a seed that already downloads the task when a lease is to be had', () => {
  it('gets it itself when it has registered before the lease was granted to another', () => {
    const { authority, seed, triggers, told, register } = aBench();
    const first = register();
    const own = register(seed);
    expect(told.size).toBe(0);
    authority.grant();
    expect([told.get(own), told.get(first)]).toEqual(['back-to-source', undefined]);
    expect(triggers).toHaveLength(0);
  });

  it('gets it itself when the one who had it has gone', () => {
    const { authority, seed, triggers, told, scheduler, register } = aBench();
    const reader = register(aHost({ isSeed: true }));
    authority.grant();
    const first = register();
    const own = register(seed);
    scheduler.detached(reader);
    authority.grant();
    expect([told.get(reader), told.get(own), told.get(first)]).toEqual(['back-to-source', 'back-to-source', undefined]);
    expect(triggers).toHaveLength(0);
  });

  it('is sent to the source when it registers after it was triggered, whatever it was first asked for', () => {
    const { authority, seed, triggers, told, register } = aBench();
    register();
    authority.grant();
    expect(triggers).toHaveLength(1);
    const own = register(seed);
    expect(told.get(own)).toBe('back-to-source');
  });
});
