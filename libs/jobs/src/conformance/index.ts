/**
 * @packageDocumentation
 * What every adapter of the job queue must do, as a list of cases that a spec runs against its adapter. No test
 * framework is imported: the spec hands in its own `it` by looping over {@link queueConformanceCases}.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { GiveUpError, type JobContext, type JobQueue, type JobSnapshot, type JobState } from '../job-queue.js';

/** One adapter under test. */
export interface QueueFixture {
  /** A queue without entries, that nobody works for. */
  queue: JobQueue;
  /** The same queue, as another process sees it. */
  readonly second: () => JobQueue;
  /** A queue whose process ended without a word while it ran something: nothing renews its leases any more. */
  readonly dying: () => { queue: JobQueue; die(): Promise<void> };
}

export interface QueueConformanceCase {
  name: string;
  run(fixture: QueueFixture): Promise<void>;
}

/** Longest wait of a case for something that must happen. */
const WAIT_MS = 10_000;

function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what}: not within ${WAIT_MS} ms`)), WAIT_MS);
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

/** Looks until the entry has the state. */
async function becomes(queue: JobQueue, id: string, state: JobState): Promise<JobSnapshot> {
  const giveUpAtMs = performance.now() + WAIT_MS;
  for (;;) {
    const found = await queue.find(id);
    if (found?.state === state) {
      return found;
    }
    assert.ok(performance.now() < giveUpAtMs, `${id} is ${found?.state ?? 'unknown'} and not ${state}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when the signal fires. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}

const codeIs =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof DfError && error.code === code;

export const queueConformanceCases: readonly QueueConformanceCase[] = [
  {
    name: 'runs what was put in, with its payload, and keeps what the handler returned',
    run: async ({ queue }) => {
      const seen: unknown[] = [];
      await queue.work({
        handlers: {
          add: async ({ payload, attempt, kind }) => {
            seen.push([kind, attempt, payload]);
            return { sum: 3 };
          },
        },
      });
      const id = await queue.enqueue({ kind: 'add', payload: { a: 1, b: { c: ['ü', 2] } } });
      const done = await becomes(queue, id, 'completed');
      assert.deepEqual(seen, [['add', 1, { a: 1, b: { c: ['ü', 2] } }]]);
      assert.deepEqual(done.result, { sum: 3 });
      assert.deepEqual(done.payload, { a: 1, b: { c: ['ü', 2] } });
    },
  },
  {
    name: 'keeps entries that were put in while nobody works',
    run: async ({ queue, second }) => {
      const ids = await Promise.all(['a', 'b', 'c'].map((id) => queue.enqueue({ id, kind: 'x', payload: {} })));
      assert.equal((await queue.find('a'))?.state, 'waiting');
      await second().work({ handlers: { x: async () => undefined } });
      for (const id of ids) {
        await becomes(queue, id, 'completed');
      }
    },
  },
  {
    name: 'takes the same id once, also when it has ended',
    run: async ({ queue, second }) => {
      let runs = 0;
      const other = second();
      await Promise.all(
        Array.from({ length: 10 }, (_, i) => (i % 2 ? queue : other).enqueue({ id: 'one', kind: 'x', payload: { i } })),
      );
      await queue.work({ handlers: { x: async () => void (runs += 1) } });
      await becomes(queue, 'one', 'completed');
      await queue.enqueue({ id: 'one', kind: 'x', payload: {} });
      await queue.enqueue({ id: 'two', kind: 'x', payload: {} });
      await becomes(queue, 'two', 'completed');
      assert.equal(runs, 2);
    },
  },
  {
    name: 'runs each entry once with several workers, and so many at a time',
    run: async ({ queue, second }) => {
      const runs = new Map<string, number>();
      let active = 0;
      let most = 0;
      const handler = async ({ id }: JobContext): Promise<void> => {
        active += 1;
        most = Math.max(most, active);
        runs.set(id, (runs.get(id) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
        active -= 1;
      };
      await queue.work({ handlers: { x: handler }, concurrency: 2 });
      await second().work({ handlers: { x: handler }, concurrency: 2 });
      const ids = await Promise.all(Array.from({ length: 20 }, () => queue.enqueue({ kind: 'x', payload: {} })));
      for (const id of ids) {
        await becomes(queue, id, 'completed');
      }
      assert.deepEqual(
        [...runs.values()],
        Array.from({ length: 20 }, () => 1),
      );
      assert.ok(most <= 4, `${most} at a time`);
    },
  },
  {
    name: 'waits for the delay',
    run: async ({ queue }) => {
      const startedAtMs = performance.now();
      const ran = Promise.withResolvers<number>();
      await queue.work({ handlers: { x: async () => ran.resolve(performance.now() - startedAtMs) } });
      await queue.enqueue({ kind: 'x', payload: {}, delayMs: 300 });
      const afterMs = await within(ran.promise, 'the delayed run');
      assert.ok(afterMs >= 290, `ran after ${afterMs} ms`);
    },
  },
  {
    name: 'tries again after a failure with growing pauses, then fails with the last message',
    run: async ({ queue }) => {
      const attempts: number[] = [];
      const times: number[] = [];
      await queue.work({
        handlers: {
          x: async ({ attempt }) => {
            attempts.push(attempt);
            times.push(performance.now());
            throw new Error(`failure ${attempt}`);
          },
        },
      });
      const id = await queue.enqueue({ kind: 'x', payload: {}, maxAttempts: 3, backoffMs: 100 });
      const failed = await becomes(queue, id, 'failed');
      assert.deepEqual(attempts, [1, 2, 3]);
      assert.equal(failed.error, 'failure 3');
      const [first = 0, second = 0, third = 0] = times;
      assert.ok(second - first >= 90 && third - second >= 190, `pauses ${second - first}, ${third - second}`);
    },
  },
  {
    name: 'does not try again when the handler gives up, or nobody knows the kind',
    run: async ({ queue }) => {
      let runs = 0;
      await queue.work({
        handlers: {
          x: async () => {
            runs += 1;
            throw new GiveUpError('hopeless');
          },
        },
      });
      const id = await queue.enqueue({ kind: 'x', payload: {}, maxAttempts: 5, backoffMs: 1 });
      assert.equal((await becomes(queue, id, 'failed')).error, 'hopeless');
      const unknown = await queue.enqueue({ kind: 'y', payload: {}, maxAttempts: 5, backoffMs: 1 });
      assert.match((await becomes(queue, unknown, 'failed')).error ?? '', /kind y/);
      assert.equal(runs, 1);
    },
  },
  {
    name: 'keeps the last progress and tells of it',
    run: async ({ queue }) => {
      const types: string[] = [];
      const over = Promise.withResolvers<void>();
      queue.onEvent(({ type }) => {
        types.push(type);
        if (type === 'completed') {
          over.resolve();
        }
      });
      await queue.work({
        handlers: {
          x: async ({ progress }) => {
            await progress({ done: 1 });
            await progress({ done: 2 });
          },
        },
      });
      const id = await queue.enqueue({ kind: 'x', payload: {} });
      await within(over.promise, 'the end');
      assert.deepEqual((await becomes(queue, id, 'completed')).progress, { done: 2 });
      assert.deepEqual(types, ['active', 'progress', 'progress', 'completed']);
    },
  },
  {
    name: 'cancels what waits: it never runs',
    run: async ({ queue }) => {
      let runs = 0;
      const id = await queue.enqueue({ kind: 'x', payload: { n: 1 }, delayMs: 200 });
      assert.equal(await queue.cancel(id), true);
      assert.equal((await queue.find(id))?.state, 'cancelled');
      assert.equal(await queue.cancel(id), false);
      assert.equal(await queue.cancel('nobody'), false);
      await queue.work({ handlers: { x: async () => void (runs += 1) } });
      const other = await queue.enqueue({ kind: 'x', payload: {}, delayMs: 300 });
      await becomes(queue, other, 'completed');
      assert.equal(runs, 1);
    },
  },
  {
    name: 'cancels what runs, from another process too, and does not try it again',
    run: async ({ queue, second }) => {
      const started = Promise.withResolvers<void>();
      let runs = 0;
      await queue.work({
        handlers: {
          x: async ({ signal }) => {
            runs += 1;
            started.resolve();
            await aborted(signal);
            assert.ok(codeIs('cancelled')(signal.reason));
            throw signal.reason;
          },
        },
      });
      const id = await queue.enqueue({ kind: 'x', payload: {}, maxAttempts: 3, backoffMs: 1 });
      await within(started.promise, 'the start');
      assert.equal(await second().cancel(id), true);
      await becomes(queue, id, 'cancelled');
      assert.equal(runs, 1);
    },
  },
  {
    name: 'gives back what runs when the queue closes, without counting it as a failure',
    run: async ({ queue, second }) => {
      const leaving = second();
      const started = Promise.withResolvers<void>();
      await leaving.work({
        handlers: {
          x: async ({ signal }) => {
            started.resolve();
            await aborted(signal);
            throw signal.reason;
          },
        },
      });
      const id = await queue.enqueue({ kind: 'x', payload: {} });
      await within(started.promise, 'the start');
      await leaving.close();
      await queue.work({ handlers: { x: async ({ attempt }) => ({ attempt }) } });
      assert.deepEqual((await becomes(queue, id, 'completed')).result, { attempt: 1 });
    },
  },
  {
    name: 'runs an entry again when the process that ran it died',
    run: async ({ queue, dying }) => {
      const victim = dying();
      const started = Promise.withResolvers<void>();
      await victim.queue.work({
        handlers: {
          x: async ({ signal }) => {
            started.resolve();
            await aborted(signal);
          },
        },
      });
      const id = await queue.enqueue({ kind: 'x', payload: {} });
      await within(started.promise, 'the start');
      await victim.die();
      await queue.work({ handlers: { x: async () => ({ by: 'heir' }) } });
      assert.deepEqual((await becomes(queue, id, 'completed')).result, { by: 'heir' });
    },
  },
  {
    name: 'fires a schedule again and again, once for all processes, until it is taken away',
    run: async ({ queue, second }) => {
      let runs = 0;
      const thrice = Promise.withResolvers<void>();
      const handlers = {
        tick: async (): Promise<void> => {
          runs += 1;
          if (runs === 3) {
            thrice.resolve();
          }
        },
      };
      await queue.work({ handlers });
      await second().work({ handlers });
      const startedAtMs = performance.now();
      await queue.schedule('tick', { kind: 'tick', payload: {}, everyMs: 1_000 });
      await queue.schedule('tick', { kind: 'tick', payload: {}, everyMs: 1_000 });
      assert.deepEqual(await queue.schedules(), ['tick']);
      await within(thrice.promise, 'three runs');
      const tookMs = performance.now() - startedAtMs;
      assert.ok(tookMs > 1_700, `three runs in ${tookMs} ms`);
      assert.equal(await queue.unschedule('tick'), true);
      assert.equal(await queue.unschedule('tick'), false);
      assert.deepEqual(await queue.schedules(), []);
    },
  },
  {
    name: 'keeps the next time of a schedule that is put in again and again',
    run: async ({ queue, second }) => {
      let runs = 0;
      await queue.work({ handlers: { tick: async () => void (runs += 1) } });
      const other = second();
      const schedule = { kind: 'tick', payload: { a: 1 }, everyMs: 1_500 };
      for (let times = 0; times < 14; times += 1) {
        await (times % 2 ? queue : other).schedule('tick', schedule);
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      assert.ok(runs >= 2 && runs <= 4, `${runs} runs in 3.5 s`);
      await queue.unschedule('tick');
    },
  },
  {
    name: 'takes cron texts and refuses wrong ones, and other bad requests, with the field',
    run: async ({ queue }) => {
      const fired = Promise.withResolvers<void>();
      await queue.work({ handlers: { x: async () => fired.resolve() } });
      await queue.schedule('each-second', { kind: 'x', payload: {}, cron: '* * * * * *' });
      await within(fired.promise, 'the cron run');
      await queue.unschedule('each-second');
      for (const cron of ['* *', '61 * * * *', 'nonsense', '']) {
        await assert.rejects(queue.schedule('bad', { kind: 'x', payload: {}, cron }), codeIs('invalid-argument'));
      }
      await assert.rejects(queue.schedule('bad', { kind: 'x', payload: {} }), codeIs('invalid-argument'));
      await assert.rejects(queue.schedule('bad', { kind: 'x', payload: {}, everyMs: 10 }), codeIs('invalid-argument'));
      for (const id of ['', '7', 'a:b', 'x'.repeat(101)]) {
        await assert.rejects(queue.enqueue({ id, kind: 'x', payload: {} }), codeIs('invalid-argument'));
      }
      await assert.rejects(queue.enqueue({ kind: 'x', payload: {}, maxAttempts: 0 }), codeIs('invalid-argument'));
    },
  },
  {
    name: 'says unavailable once closed',
    run: async ({ second }) => {
      const queue = second();
      await queue.close();
      await queue.close();
      await assert.rejects(queue.enqueue({ id: randomUUID(), kind: 'x', payload: {} }), codeIs('unavailable'));
    },
  },
];
