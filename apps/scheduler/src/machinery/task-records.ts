import type { Redis } from 'ioredis';
import { parseObject } from './machinery-message.js';

/** Seconds that a record lives after its last change, as machinery's results do. */
export const RECORD_TTL_SECONDS = 86_400;

export type TaskState = 'PENDING' | 'RECEIVED' | 'STARTED' | 'SUCCESS' | 'FAILURE';

/** What a finished task came to. */
export type TaskEnd =
  { readonly state: 'SUCCESS'; readonly result: string } | { readonly state: 'FAILURE'; readonly error: string };

/** Records of tasks in the database of results: one JSON text for each, under the task's UUID. */
export class TaskRecords {
  constructor(private readonly redis: Redis) {}

  /** The state that is written down; undefined when nothing is. */
  async stateOf(uuid: string): Promise<string | undefined> {
    const state = parseObject((await this.redis.get(uuid)) ?? '')?.['State'];
    return typeof state === 'string' ? state : undefined;
  }

  async progress(uuid: string, name: string, state: Exclude<TaskState, 'SUCCESS' | 'FAILURE'>): Promise<void> {
    await this.#write(uuid, name, { State: state, Results: null, Error: '' });
  }

  async end(uuid: string, name: string, end: TaskEnd): Promise<void> {
    const isSuccess = end.state === 'SUCCESS';
    await this.#write(uuid, name, {
      State: end.state,
      Results: isSuccess ? [{ Type: 'string', Value: end.result }] : null,
      Error: isSuccess ? '' : end.error,
    });
  }

  /** What the producer wrote about the task's beginning stays. */
  async #write(uuid: string, name: string, change: Record<string, unknown>): Promise<void> {
    const before = parseObject((await this.redis.get(uuid)) ?? '');
    const record = {
      TaskUUID: uuid,
      TaskName: before?.['TaskName'] ?? name,
      ...change,
      CreatedAt: before?.['CreatedAt'] ?? new Date().toISOString(),
      TTL: before?.['TTL'] ?? RECORD_TTL_SECONDS,
    };
    await this.redis.set(uuid, JSON.stringify(record), 'EX', RECORD_TTL_SECONDS);
  }
}
