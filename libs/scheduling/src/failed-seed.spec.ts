import { ParentScheduler } from './parent-scheduler.js';
import type { SeedTriggerRequest } from './seed-gateway.js';
import type { SeedTrigger } from './source-lease.js';
import { defaultStrategy } from './strategy.js';
import { aHost, aPeer, aTask, FakeClock } from './testing/index.js';

describe('a peer that got nothing from a seed which has everything', () => {
  it.each([
    ['goes to the source at once when there is no other seed', 1, 'back-to-source'],
    ['has another seed asked', 2, undefined],
  ])('%s', (_name, seedCount, expected) => {
    const seeds = Array.from({ length: seedCount }, () => aHost({ isSeed: true }));
    const triggered: string[] = [];
    const scheduler = new ParentScheduler({
      clock: new FakeClock(),
      random: () => 0.5,
      seeds: {
        trigger: ({ excludedHostIds }: SeedTriggerRequest): SeedTrigger | undefined => {
          const seed = seeds.find(({ id }) => !excludedHostIds.has(id));
          if (seed === undefined) return undefined;
          triggered.push(seed.id);
          return { hostId: seed.id, isOpen: true };
        },
      },
      limits: () => ({ candidateParentLimit: 3, filterParentLimit: 15, peerUploadLimit: 200, seedUploadLimit: 2000 }),
      strategyFor: () => defaultStrategy,
      sourceLimits: { stallTimeoutMs: 60_000, waitTimeoutMs: 25_000, unusableHolderWaitMs: 2000, backToSourceCount: 9 },
    });
    const task = aTask();
    const holder = aPeer({ task, host: seeds[0], state: 'Succeeded', pieceCount: task.pieceCount });
    const peer = aPeer({ task, state: 'Running' });
    peer.blockParent(holder.id);
    let told: string | undefined;
    scheduler.schedule(peer, ({ kind }) => (told = kind));
    expect(told).toBe(expected);
    expect(triggered).toEqual(seeds.slice(1).map(({ id }) => id));
  });
});
