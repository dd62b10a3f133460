import { setImmediate as settle } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { createMemoryKv, type Kv, type KvWriteOptions, MemoryKeyValueStore } from '@dragonfly/kv';
import { FakeClock } from '@dragonfly/scheduling/testing';
import { silentLogger } from '@dragonfly/telemetry';
import { KvLeaseBackend } from './kv-backend.js';
import type { ForeignLease, OwnedLease } from './lease-backend.js';
import { SharedOriginBudget } from './origin-budget.js';

const TTL_MS = 12_000;

/** A store whose next answer to a claim is lost: what was asked for has been done. */
class LosingStore extends MemoryKeyValueStore {
  losesNext = false;

  override async setIfAbsent(key: string, value: string, options?: KvWriteOptions): Promise<boolean> {
    const isSet = await super.setIfAbsent(key, value, options);
    if (!this.losesNext) return isSet;
    this.losesNext = false;
    throw new DfError('deadline-exceeded', 'no answer within 1000 ms');
  }
}

/** Lets what was begun in the background reach the store in memory. */
async function background(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await settle();
}

describe('a lease whose claim was done but not answered', () => {
  let clock: FakeClock;
  let store: LosingStore;
  beforeEach(() => {
    clock = new FakeClock();
    store = new LosingStore({ now: () => clock.nowMs() });
  });

  function aScheduler(instance: string): KvLeaseBackend {
    const log = silentLogger();
    return new KvLeaseBackend({ store, prefix: 's:', instance, limit: () => 1, ttlMs: TTL_MS, clock, log });
  }

  async function lost(backend: KvLeaseBackend): Promise<OwnedLease | ForeignLease> {
    store.losesNext = true;
    return backend.claim('t', { hostId: 'a', peerId: 'p' });
  }

  it('is renewed like every other: nobody else gets it while its scheduler lives', async () => {
    const [one, two] = [aScheduler('1'), aScheduler('2')];
    // Between two renewals, so that its time is over between two as well.
    clock.advance(TTL_MS / 8);
    expect(await lost(one)).toMatchObject({ kind: 'owned' });
    for (let second = 0; second < 30; second += 1) {
      clock.advance(1000);
      await background();
      expect(await two.claim('t', { hostId: 'b', peerId: 'q' })).toMatchObject({ kind: 'foreign' });
    }
  });

  it('is free at once when it is given back', async () => {
    const [one, two] = [aScheduler('1'), aScheduler('2')];
    const lease = await lost(one);
    clock.advance(3001);
    if (lease.kind === 'owned') lease.release();
    await background();
    expect(await two.claim('t', { hostId: 'b', peerId: 'q' })).toMatchObject({ kind: 'owned' });
  });
});

describe('the readers of an origin', () => {
  const ORIGIN = 'https://o.example';
  let kv: Kv;
  let budget: SharedOriginBudget;
  beforeEach(() => {
    const clock = new FakeClock();
    kv = createMemoryKv({ now: () => clock.nowMs() });
    const limits = { bytesPerSecond: 0, concurrentRequests: 1 };
    const log = silentLogger();
    budget = new SharedOriginBudget({ limits: () => limits, store: kv.store, prefix: 's:', instance: '1', clock, log });
  });
  afterEach(async () => {
    budget.close();
    await kv.close();
  });

  it('stay counted when one comes while the last one goes', async () => {
    expect(await budget.enter(ORIGIN)).toBe(true);
    budget.leave(ORIGIN);
    expect(await budget.enter(ORIGIN)).toBe(true);
    await background();
    expect(await budget.enter(ORIGIN)).toBe(false);
    budget.leave(ORIGIN);
    await background();
    expect(await budget.enter(ORIGIN)).toBe(true);
  });
});
