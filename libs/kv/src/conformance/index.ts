/**
 * @packageDocumentation
 * What every adapter of the key-value port must do, as a list of cases that a spec runs against its adapter. No test
 * framework is imported: the spec hands in its own `it` by looping over {@link kvConformanceCases}.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { recordCases } from './records.js';
import type { KvConformanceCase } from './fixture.js';

export type { KvConformanceCase, KvFixture } from './fixture.js';

const codeIs =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof DfError && error.code === code;

/** Resolves with the next value pushed, or fails after 5 s: message delivery has no other completion to wait on. */
function inbox(): { push: (message: string) => void; next: () => Promise<string> } {
  const arrived: string[] = [];
  let wake: (() => void) | undefined;
  return {
    push: (message) => {
      arrived.push(message);
      wake?.();
    },
    next: async () => {
      const deadline = AbortSignal.timeout(5_000);
      while (arrived.length === 0) {
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), rejectOn(deadline)]);
      }
      return arrived.shift() ?? '';
    },
  };
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );
}

const storeCases: readonly KvConformanceCase[] = [
  {
    name: 'gives back what was set, for any text, and undefined for an absent key',
    run: async ({ kv }) => {
      const key = randomUUID();
      assert.equal(await kv.store.get(key), undefined);
      for (const value of ['', '0', 'späße \u{1f409}\n\0end', 'x'.repeat(100_000)]) {
        await kv.store.set(key, value);
        assert.equal(await kv.store.get(key), value);
      }
    },
  },
  {
    name: 'lets a key disappear when its ttl is over, and a later set without ttl keeps it',
    run: async ({ kv, passTime }) => {
      const key = randomUUID();
      await kv.store.set(key, 'a', { ttlMs: 60 });
      assert.equal(await kv.store.get(key), 'a');
      await passTime(80);
      assert.equal(await kv.store.get(key), undefined);
      await kv.store.set(key, 'b', { ttlMs: 60 });
      await kv.store.set(key, 'c');
      await passTime(80);
      assert.equal(await kv.store.get(key), 'c');
    },
  },
  {
    name: 'sets an absent key exactly once among concurrent writers',
    run: async ({ kv, second, passTime }) => {
      const key = randomUUID();
      const tries = Array.from({ length: 20 }, (_, i) =>
        (i % 2 ? kv : second).store.setIfAbsent(key, String(i), { ttlMs: 500 }),
      );
      assert.equal((await Promise.all(tries)).filter(Boolean).length, 1);
      await passTime(550);
      assert.equal(await kv.store.setIfAbsent(key, 'again'), true);
    },
  },
  {
    name: 'compares before it sets or deletes',
    run: async ({ kv, passTime }) => {
      const key = randomUUID();
      assert.equal(await kv.store.compareAndSet(key, '', 'x'), false);
      await kv.store.set(key, 'a');
      assert.equal(await kv.store.compareAndSet(key, 'b', 'x'), false);
      assert.equal(await kv.store.compareAndSet(key, 'a', 'b', { ttlMs: 60 }), true);
      assert.equal(await kv.store.compareAndDelete(key, 'a'), false);
      assert.equal(await kv.store.get(key), 'b');
      await passTime(80);
      assert.equal(await kv.store.get(key), undefined);
      await kv.store.set(key, 'c');
      assert.equal(await kv.store.compareAndDelete(key, 'c'), true);
      assert.equal(await kv.store.get(key), undefined);
    },
  },
  {
    name: 'says whether a deleted key was there',
    run: async ({ kv }) => {
      const key = randomUUID();
      assert.equal(await kv.store.delete(key), false);
      await kv.store.set(key, 'a');
      assert.equal(await kv.store.delete(key), true);
      assert.equal(await kv.store.get(key), undefined);
    },
  },
  {
    name: 'counts without losing an increment, and the first one starts the window',
    run: async ({ kv, second, passTime }) => {
      const key = randomUUID();
      const counts = await Promise.all(
        Array.from({ length: 50 }, (_, i) => (i % 2 ? kv : second).store.increment(key, 2, { ttlMs: 1_000 })),
      );
      assert.deepEqual(
        counts.sort((a, b) => a - b),
        Array.from({ length: 50 }, (_, i) => (i + 1) * 2),
      );
      assert.equal(await kv.store.increment(key, -100), 0);
      await passTime(1_050);
      assert.equal(await kv.store.increment(key), 1);
    },
  },
  {
    name: 'refuses to count in a text',
    run: async ({ kv }) => {
      const key = randomUUID();
      await kv.store.set(key, 'text');
      await assert.rejects(kv.store.increment(key), codeIs('failed-precondition'));
    },
  },
  {
    name: 'scans by a literal prefix within the limit',
    run: async ({ kv }) => {
      const prefix = `${randomUUID()}:[*?]\\`;
      const keys = Array.from({ length: 25 }, (_, i) => `${prefix}${i}`);
      await Promise.all(keys.map((key) => kv.store.set(key, 'x')));
      await kv.store.set(prefix.replace('*', 'y'), 'other');
      assert.deepEqual((await kv.store.scan(prefix, 100)).sort(), [...keys].sort());
      assert.equal((await kv.store.scan(prefix, 7)).length, 7);
      assert.deepEqual(await kv.store.scan(randomUUID(), 10), []);
    },
  },
  {
    name: 'refuses illegal keys, ttls and limits',
    run: async ({ kv }) => {
      await assert.rejects(kv.store.get(''), codeIs('invalid-argument'));
      await assert.rejects(kv.store.set('k'.repeat(1_025), ''), codeIs('invalid-argument'));
      for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await assert.rejects(kv.store.set('k', '', { ttlMs }), codeIs('invalid-argument'));
      }
      await assert.rejects(kv.store.scan('', 0), codeIs('invalid-argument'));
      await assert.rejects(kv.store.increment('k', 0.5), codeIs('invalid-argument'));
    },
  },
  {
    name: 'does nothing for a caller that has already cancelled',
    run: async ({ kv }) => {
      const key = randomUUID();
      await assert.rejects(kv.store.set(key, 'a', { signal: AbortSignal.abort() }), codeIs('cancelled'));
      assert.equal(await kv.store.get(key), undefined);
    },
  },
  {
    name: 'gives a lock to one holder at a time',
    run: async ({ kv, second }) => {
      const name = randomUUID();
      const held = await kv.lock.acquire(name, { ttlMs: 10_000 });
      assert.ok(held);
      assert.equal(await second.lock.acquire(name), undefined);
      const waiting = second.lock.acquire(name, { waitMs: 5_000 });
      await held.release();
      const next = await waiting;
      assert.ok(next);
      await held.release();
      assert.equal(
        await kv.lock.acquire(name),
        undefined,
        'a second release must not free the lock of the next holder',
      );
      await next.release();
      assert.equal(await kv.lock.run(name, {}, async () => 'done'), 'done');
    },
  },
  {
    name: 'keeps a lock longer than its ttl while the holder lives',
    run: async ({ kv, second }) => {
      const name = randomUUID();
      const held = await kv.lock.acquire(name, { ttlMs: 300 });
      assert.ok(held);
      // Real time has to pass here: renewal runs on a timer.
      await delay(700);
      assert.equal(await second.lock.acquire(name), undefined);
      assert.equal(held.lost.aborted, false);
      await held.release();
    },
  },
  {
    name: 'tells the holder when the lock was taken away',
    run: async ({ kv }) => {
      const name = randomUUID();
      const held = await kv.lock.acquire(name, { ttlMs: 90 });
      assert.ok(held);
      await kv.store.delete(`lock:${name}`);
      await Promise.race([
        new Promise<void>((resolve) => held.lost.addEventListener('abort', () => resolve(), { once: true })),
        rejectOn(AbortSignal.timeout(5_000)),
      ]);
      await held.release();
    },
  },
  {
    name: 'stops waiting for a lock when told so',
    run: async ({ kv }) => {
      const name = randomUUID();
      const held = await kv.lock.acquire(name);
      assert.ok(held);
      await assert.rejects(
        kv.lock.acquire(name, { waitMs: 10_000, signal: AbortSignal.timeout(80) }),
        (error: unknown) => error instanceof DfError && ['cancelled', 'deadline-exceeded'].includes(error.code),
      );
      await held.release();
    },
  },
  {
    name: 'delivers messages in order to every subscriber of the channel and to no other',
    run: async ({ kv, second }) => {
      const channel = randomUUID();
      const [one, two, other] = [inbox(), inbox(), inbox()];
      const endOne = await kv.pubSub.subscribe(channel, one.push);
      const endTwo = await second.pubSub.subscribe(channel, two.push);
      const endOther = await kv.pubSub.subscribe(`${channel}-other`, other.push);
      for (const message of ['a', 'b', 'c']) {
        await kv.pubSub.publish(channel, message);
      }
      for (const box of [one, two]) {
        assert.deepEqual([await box.next(), await box.next(), await box.next()], ['a', 'b', 'c']);
      }
      await endOne();
      await second.pubSub.publish(channel, 'd');
      await kv.pubSub.publish(`${channel}-other`, 'z');
      assert.equal(await two.next(), 'd');
      assert.equal(await other.next(), 'z');
      await endTwo();
      await endTwo();
      await endOther();
    },
  },
  {
    name: 'keeps delivering when a subscriber throws',
    run: async ({ kv }) => {
      const channel = randomUUID();
      const box = inbox();
      const ends = [
        await kv.pubSub.subscribe(channel, () => {
          throw new Error('subscriber failed');
        }),
        await kv.pubSub.subscribe(channel, box.push),
      ];
      await kv.pubSub.publish(channel, 'a');
      assert.equal(await box.next(), 'a');
      await Promise.all(ends.map((end) => end()));
    },
  },
  {
    name: 'answers a ping, and says unavailable once closed',
    run: async ({ kv }) => {
      await kv.store.ping();
      await kv.close();
      await kv.close();
      await assert.rejects(kv.store.get('a'), codeIs('unavailable'));
      await assert.rejects(
        kv.pubSub.subscribe('a', () => undefined),
        codeIs('unavailable'),
      );
    },
  },
];

/** Every case of the port. */
export const kvConformanceCases: readonly KvConformanceCase[] = [...storeCases, ...recordCases];
