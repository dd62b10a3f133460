import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import type { Redis } from 'ioredis';

/** One wait for a message; the connection is known to be dead when it takes much longer. */
const BLOCK_SECONDS = 5;
const ANSWER_GRACE_MS = 5_000;
/** Pauses before another connection, doubled up to the longest. */
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 10_000;
/** A queue that cannot be read is told this often. */
const LOG_INTERVAL_MS = 30_000;
/** A message that this scheduler has died of so many times is not tried again. */
const MAX_RECOVERIES = 3;
const RECOVERY_TTL_SECONDS = 86_400;

export interface QueueConsumerOptions {
  /** Key of the list that producers append to. */
  readonly queue: string;
  /** Key of the list of messages that are being worked on; of this scheduler alone. */
  readonly workingList: string;
  /** Messages worked on at a time. */
  readonly maxRunning: number;
  /** A connection of its own, as blocking commands need; it must not reconnect by itself. */
  readonly connect: () => Redis;
  /**
   * Works on one message; aborted by a stop.
   * @returns `done` when it has been answered, `given-back` when another one is to work on it
   * @throws when it could not be answered: it stays in the working list and is tried again after a restart
   */
  readonly handle: (text: string, signal: AbortSignal) => Promise<'done' | 'given-back'>;
  /** A message that was tried too often; to be answered with a failure. */
  readonly refuse: (text: string, reason: string) => Promise<void>;
  readonly log: Logger;
}

/**
 * Takes messages from a list, first come first served, so that each is worked on at least once.
 *
 * A message is moved into a working list in one step and leaves it when it has been answered. What is in there when a
 * connection is made, and nobody here works on, was left by a crash or by an answer that was lost: it is worked on again. A
 * Redis older than 6.2 has no such step; there messages are popped as the original does, and a crash loses them.
 */
export class QueueConsumer {
  readonly #abort = new AbortController();
  /** Messages being worked on. */
  readonly #running = new Map<string, Promise<void>>();
  /** What was aborted by a stop. */
  readonly #givenBack: string[] = [];
  readonly #loop: Promise<void>;
  #canMove = true;
  #slotFreed: () => void = () => undefined;
  #loggedAtMs = -Infinity;

  constructor(private readonly options: QueueConsumerOptions) {
    this.#loop = this.#run();
  }

  /** Takes no more, aborts what is under way and gives it back to the queue. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#slotFreed();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (!this.#abort.signal.aborted) {
      const redis = this.options.connect();
      try {
        await redis.connect();
        await this.#recover(redis);
        retryMs = RETRY_MIN_MS;
        await this.#consume(redis);
      } catch (error) {
        if (!this.#abort.signal.aborted) this.#complain(error);
      } finally {
        if (!this.#abort.signal.aborted) redis.disconnect();
      }
      if (this.#abort.signal.aborted) {
        await this.#finish(redis);
        return;
      }
      await this.#pause(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
  }

  async #consume(redis: Redis): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (this.#running.size >= this.options.maxRunning) {
        await new Promise<void>((resolve) => (this.#slotFreed = resolve));
        continue;
      }
      const text = await this.#take(redis);
      if (text !== undefined) this.#begin(text);
    }
  }

  async #take(redis: Redis): Promise<string | undefined> {
    const { queue, workingList } = this.options;
    // A wait that is stopped: the connection is closed under it.
    const onAbort = (): void => redis.disconnect();
    this.#abort.signal.addEventListener('abort', onAbort, { once: true });
    const watchdog = setTimeout(() => redis.disconnect(), BLOCK_SECONDS * 1000 + ANSWER_GRACE_MS).unref();
    try {
      if (!this.#canMove) return (await redis.blpop(queue, BLOCK_SECONDS))?.[1];
      return (await redis.blmove(queue, workingList, 'LEFT', 'RIGHT', BLOCK_SECONDS)) ?? undefined;
    } catch (error) {
      if (!this.#canMove || !/unknown command/i.test(DfError.from(error).message)) throw error;
      this.#canMove = false;
      this.options.log.warn({ queue }, 'this Redis has no BLMOVE: a crash loses the messages being worked on');
      return undefined;
    } finally {
      clearTimeout(watchdog);
      this.#abort.signal.removeEventListener('abort', onAbort);
    }
  }

  #begin(text: string): void {
    if (this.#running.has(text)) return;
    const { handle, log, queue, workingList } = this.options;
    const work = handle(text, this.#abort.signal)
      .then(async (outcome) => {
        if (outcome === 'given-back') this.#givenBack.push(text);
        else if (this.#canMove) await this.#withRedis((redis) => redis.lrem(workingList, 1, text));
      })
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) {
          log.error({ reason: DfError.from(error).message, queue }, 'a job is left unanswered');
        }
      })
      .finally(() => {
        this.#running.delete(text);
        this.#slotFreed();
      });
    this.#running.set(text, work);
  }

  /** Works again on what was left behind. */
  async #recover(redis: Redis): Promise<void> {
    const { workingList, refuse, log, queue } = this.options;
    const key = `${workingList}:recoveries`;
    const left = (await redis.lrange(workingList, 0, -1)).filter((text) => !this.#running.has(text));
    for (const text of new Set(left)) {
      const times = await redis.hincrby(key, fingerprint(text), 1);
      await redis.expire(key, RECOVERY_TTL_SECONDS);
      if (times > MAX_RECOVERIES) {
        await refuse(text, `the scheduler has ended ${MAX_RECOVERIES} times while it worked on this job`);
        await redis.multi().lrem(workingList, 0, text).hdel(key, fingerprint(text)).exec();
        continue;
      }
      log.warn({ queue, times }, 'a job that was left unfinished is begun again');
      this.#begin(text);
    }
  }

  /** At a stop: what was aborted goes back to the front of the queue, for us after a restart or for another scheduler. */
  async #finish(redis: Redis): Promise<void> {
    const { queue, workingList, log } = this.options;
    redis.disconnect();
    await Promise.all(this.#running.values());
    if (this.#givenBack.length === 0) return;
    try {
      await this.#withRedis(async (last) => {
        for (const text of this.#givenBack.toReversed()) {
          await last.multi().lrem(workingList, 1, text).lpush(queue, text).exec();
        }
      });
    } catch (error) {
      log.warn({ reason: DfError.from(error).message, queue }, 'unfinished jobs stay in the working list');
    }
  }

  async #withRedis<Result>(use: (redis: Redis) => Promise<Result>): Promise<Result> {
    const redis = this.options.connect();
    try {
      await redis.connect();
      return await use(redis);
    } finally {
      redis.disconnect();
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#abort.signal, ref: false }).catch(() => undefined);
  }

  #complain(error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs < LOG_INTERVAL_MS) return;
    this.#loggedAtMs = nowMs;
    const { queue, log } = this.options;
    log.warn({ queue, reason: DfError.from(error).message }, 'the job queue cannot be read, trying again');
  }
}

function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
