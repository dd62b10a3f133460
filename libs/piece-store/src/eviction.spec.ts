import fc from 'fast-check';
import { tempDir } from '@dragonfly/testkit';
import { contentOf, quietLog, storeContent } from '../test/store-fixtures.js';
import { decideEvictions, type EvictionCandidate, type GcPolicy } from './eviction.js';
import { GarbageCollector } from './garbage-collector.js';
import { PieceStore } from './piece-store.js';

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;
const POLICY: GcPolicy = {
  taskTtlMs: 100 * HOUR,
  persistentTaskTtlMs: 50 * HOUR,
  persistentCacheTaskTtlMs: 20 * HOUR,
  diskThresholdBytes: 1000,
  highPercent: 80,
  lowPercent: 60,
};

function aCandidate(overrides: Partial<EvictionCandidate> = {}): EvictionCandidate {
  return {
    kind: 'standard',
    id: 'task',
    storedBytes: 100,
    createdAtMs: NOW - HOUR,
    updatedAtMs: NOW - HOUR,
    isFinished: true,
    hasFailed: false,
    isInUse: false,
    isPersistent: false,
    ...overrides,
  };
}

/** Ids that go, when own content takes `usedBytes` of the threshold of 1000. */
function evicted(candidates: EvictionCandidate[], usedBytes = 0, policy = POLICY): string[] {
  const usage = { usedBytes, freeBytes: 10 ** 12, totalBytes: 10 ** 12 };
  return decideEvictions(candidates, usage, policy, NOW).evict.map(({ id, reason }) => `${id}:${reason}`);
}

describe('decideEvictions', () => {
  it.each([
    ['standard, used within its time', {}, []],
    ['standard, unused for longer', { updatedAtMs: NOW - 101 * HOUR }, ['task:expired']],
    ['standard, old but lately used', { createdAtMs: 0 }, []],
    ['cache, unused for longer', { kind: 'cache', updatedAtMs: NOW - 101 * HOUR }, ['task:expired']],
    [
      'persistent, older than the policy says, though used',
      { kind: 'persistent', createdAtMs: NOW - 51 * HOUR },
      ['task:expired'],
    ],
    [
      'persistent, with a longer time of its own',
      { kind: 'persistent', createdAtMs: NOW - 51 * HOUR, ttlMs: 60 * HOUR },
      [],
    ],
    ['persistent, with a shorter time of its own', { kind: 'persistent', ttlMs: HOUR / 2 }, ['task:expired']],
    [
      'persistent cache, older than the policy says',
      { kind: 'persistent-cache', createdAtMs: NOW - 21 * HOUR },
      ['task:expired'],
    ],
    ['expired but in use', { updatedAtMs: 0, isInUse: true }, []],
  ] as const)('by time: %s', (_, overrides, expected) => {
    expect(evicted([aCandidate(overrides)])).toEqual(expected);
  });

  it.each([
    ['below the high mark', 799, {}, []],
    ['at the high mark', 800, {}, ['task:disk-space']],
    ['in use', 900, { isInUse: true }, []],
    ['unfinished and young', 900, { isFinished: false }, []],
    ['unfinished for more than a day', 900, { isFinished: false, createdAtMs: NOW - 25 * HOUR }, ['task:disk-space']],
    ['failed', 900, { isFinished: false, hasFailed: true }, ['task:disk-space']],
    ['to be kept', 900, { kind: 'persistent', isPersistent: true }, []],
    ['persistent kind, not to be kept', 900, { kind: 'persistent' }, ['task:disk-space']],
  ] as const)('by space: %s', (_, usedBytes, overrides, expected) => {
    expect(evicted([aCandidate(overrides)], usedBytes)).toEqual(expected);
  });

  it('takes the longest unused first and stops at the low mark', () => {
    const candidates = [3, 1, 4, 2].map((hours) => aCandidate({ id: `${hours}h`, updatedAtMs: NOW - hours * HOUR }));
    expect(evicted(candidates, 850)).toEqual(['4h:disk-space', '3h:disk-space', '2h:disk-space']);
  });

  it('counts expired tasks before it takes others', () => {
    const old = aCandidate({ id: 'old', updatedAtMs: 0, storedBytes: 300 });
    expect(evicted([old, aCandidate({ id: 'young' })], 900)).toEqual(['old:expired']);
  });

  it('goes by the file system without a threshold, and tells what it cannot free', () => {
    const policy = { ...POLICY, diskThresholdBytes: 0 };
    const usage = { usedBytes: 100, freeBytes: 100, totalBytes: 1000 };
    const decision = decideEvictions([aCandidate()], usage, policy, NOW);
    expect(decision).toMatchObject({ usagePercent: 90, shortBytes: 200 });
    expect(decision.evict).toHaveLength(1);
  });

  it('never takes a task in use or one to be kept for its space, and is short only when nothing is left', () => {
    const candidate = fc.record({
      kind: fc.constantFrom('standard' as const, 'persistent' as const, 'persistent-cache' as const, 'cache' as const),
      id: fc.uuid(),
      storedBytes: fc.nat({ max: 500 }),
      createdAtMs: fc.nat({ max: NOW }),
      updatedAtMs: fc.nat({ max: NOW }),
      isFinished: fc.boolean(),
      hasFailed: fc.boolean(),
      isInUse: fc.boolean(),
      isPersistent: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(candidate), fc.nat({ max: 3000 }), (candidates, usedBytes) => {
        const usage = { usedBytes, freeBytes: 1, totalBytes: 2 };
        const decision = decideEvictions(candidates, usage, POLICY, NOW);
        const ids = decision.evict.map((eviction) => eviction.id);
        expect(new Set(ids).size).toBe(ids.length);
        for (const { id, reason } of decision.evict) {
          const found = candidates.find((other) => other.id === id);
          expect(found?.isInUse).toBe(false);
          if (reason === 'disk-space') expect(found?.isPersistent).toBe(false);
        }
        if (decision.shortBytes > 0) {
          const left = candidates.filter((other) => !ids.includes(other.id) && !other.isInUse && !other.isPersistent);
          expect(left.filter((other) => other.isFinished || other.hasFailed)).toEqual([]);
        }
      }),
    );
  });
});

describe('GarbageCollector', () => {
  it('evicts from a store, tells whom it may concern and leaves used tasks alone', async () => {
    using directory = tempDir('gc');
    let nowMs = NOW;
    const store = await PieceStore.open({ directory: directory.path, log: quietLog, nowMs: () => nowMs });
    for (const id of ['oldest', 'pinned', 'newest']) {
      const task = await store.getOrCreate('standard', id, { pieceLengthBytes: 1000, contentLengthBytes: 1000 });
      await storeContent(task, contentOf(1000));
      nowMs += HOUR;
    }
    const unpin = store.get('standard', 'pinned')?.pin();
    const told: string[] = [];
    const collector = new GarbageCollector({
      store,
      policy: { ...POLICY, diskThresholdBytes: 3500, lowPercent: 50 },
      log: quietLog,
      nowMs: () => nowMs,
      onEvicted: (task, reason) => {
        told.push(`${task.id}:${reason}`);
        throw new Error('the scheduler is away');
      },
    });
    const report = await collector.run();
    expect(told).toEqual(['oldest:disk-space', 'newest:disk-space']);
    expect(report).toMatchObject({ evictedTasks: 2, shortBytes: 0 });
    expect(store.list().map((task) => task.id)).toEqual(['pinned']);
    unpin?.();
    nowMs += 101 * HOUR;
    await expect(collector.run(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    await collector.run();
    expect(store.list()).toEqual([]);
    await store.close();
  });
});
