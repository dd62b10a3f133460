import { type CandidateLimits, selectParents } from './candidates.js';
import { DRAW_WINDOW, OfferableList } from './offerable-list.js';
import { defaultStrategy, type Strategy } from './strategy.js';
import { aPeer, aTask } from './testing/index.js';

/** A small generator of its own, so that every run sees the same (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Member {
  offerableSlot: number;
  readonly name: number;
}

function listOf(count: number): { list: OfferableList<Member>; members: Member[] } {
  const list = new OfferableList<Member>();
  const members = Array.from({ length: count }, (_, name) => ({ offerableSlot: -1, name }));
  for (const member of members) list.set(member, true);
  return { list, members };
}

describe('OfferableList', () => {
  it.each([5, DRAW_WINDOW, DRAW_WINDOW + 1, 3 * DRAW_WINDOW])('draws each of %i members once, and no more', (count) => {
    const { list, members } = listOf(count);
    const random = seeded(1);
    const drawn = Array.from({ length: count }, (_, index) => list.draw(index, random));
    expect(new Set(drawn)).toEqual(new Set(members));
    expect(list.draw(count, random)).toBeUndefined();
    for (const member of members) expect(list.members[member.offerableSlot]).toBe(member);
  });

  it('renews nothing while the window holds all members', () => {
    const { list } = listOf(DRAW_WINDOW);
    expect(list.renew(0, seeded(1))).toBeUndefined();
  });

  it('lets every member of a long list be drawn about equally often over time', () => {
    const count = 4 * DRAW_WINDOW;
    const { list } = listOf(count);
    const random = seeded(7);
    const draws = new Uint32Array(count);
    const rounds = 60_000;
    const perRound = 15;
    for (let round = 0; round < rounds; round += 1) {
      for (let index = 0; index < perRound; index += 1) {
        const name = list.draw(index, random)?.name ?? 0;
        draws[name] = (draws[name] ?? 0) + 1;
      }
      list.renew(0, random);
    }
    const mean = (rounds * perRound) / count;
    const counts = draws.sort();
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts[Math.floor(count / 20)]).toBeGreaterThan(mean / 3);
    expect(counts.at(-1)).toBeLessThan(3 * mean);
  });
});

describe('selectParents in a crowd', () => {
  const limits: CandidateLimits = {
    candidateParentLimit: 3,
    filterParentLimit: 1000,
    peerUploadLimit: 200,
    seedUploadLimit: 2000,
  };

  function crowd(count: number): { task: ReturnType<typeof aTask>; scored: Set<string>; strategy: Strategy } {
    const task = aTask();
    for (let index = 0; index < count; index += 1) aPeer({ task, state: 'Succeeded' });
    const scored = new Set<string>();
    const strategy: Strategy = {
      ...defaultStrategy,
      score: (_child, candidates) => {
        for (const { id } of candidates) scored.add(id);
        return candidates.map(() => 0);
      },
    };
    return { task, scored, strategy };
  }

  it('looks at the same peers again and again, and only little by little at others, however many there are', () => {
    const { task, scored, strategy } = crowd(20_000);
    const child = aPeer({ task });
    const random = seeded(3);
    const decisions = 20;
    for (let count = 0; count < decisions; count += 1) {
      expect(selectParents(child, limits, strategy, 0, random)).toHaveLength(3);
    }
    expect(scored.size).toBeLessThan(DRAW_WINDOW + decisions * 10);
  });

  it('finds the few good ones outside of the window, and names nobody twice', () => {
    const { task, strategy } = crowd(3 * DRAW_WINDOW);
    const child = aPeer({ task });
    const good = new Set(task.offerable.slice(-5));
    for (const peer of task.offerable) if (!good.has(peer)) peer.host.concurrentUploadCount = 1000;
    expect(good).toContain(selectParents(child, limits, strategy, 0, seeded(5))[0]);
    for (const peer of good) peer.host.concurrentUploadCount = 1000;
    const names: string[] = [];
    const counting: Strategy = {
      ...strategy,
      score: (_child, candidates) => {
        names.push(...candidates.map(({ id }) => id));
        return candidates.map(() => 0);
      },
    };
    selectParents(child, limits, counting, 0, seeded(6));
    expect(names).toHaveLength(limits.filterParentLimit);
    expect(new Set(names).size).toBe(names.length);
  });
});
