import { createHash } from 'node:crypto';
import type { JobQueues } from './job-parts.js';

/** Runs of one try: failures that come from the manager's own surroundings (database away) are tried again. */
const MAX_ATTEMPTS = 5;
const BACKOFF_MS = 2_000;
/** Hexadecimal digits of the hash in an entry's id. */
const HASH_DIGITS = 16;

export const RUN_KIND = 'run';

/** A job as far as its entry in the queue needs it. */
export interface QueuedJob {
  readonly id: number;
  /** Unique, unlike the id: numbers begin again in a new database, and the queue remembers entries that have ended. */
  readonly taskId: string;
}

/** Id of the queue's entry for one try of a job. */
export function runQueueId({ id, taskId }: QueuedJob, tryNumber: number): string {
  const hash = createHash('sha256').update(taskId).digest('hex').slice(0, HASH_DIGITS);
  return `job-${id}-${tryNumber}-${hash}`;
}

export async function enqueueRun(queues: JobQueues, job: QueuedJob, tryNumber: number): Promise<void> {
  await queues.jobs.enqueue({
    id: runQueueId(job, tryNumber),
    kind: RUN_KIND,
    payload: { job_id: job.id, try: tryNumber },
    maxAttempts: MAX_ATTEMPTS,
    backoffMs: BACKOFF_MS,
  });
}
