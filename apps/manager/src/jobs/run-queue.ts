import type { JobQueues } from './job-parts.js';

/** Runs of one try: failures that come from the manager's own surroundings (database away) are tried again. */
const MAX_ATTEMPTS = 5;
const BACKOFF_MS = 2_000;

export const RUN_KIND = 'run';

/** Id of the queue's entry for one try of a job. */
export function runQueueId(jobId: number, tryNumber: number): string {
  return `job-${jobId}-${tryNumber}`;
}

export async function enqueueRun(queues: JobQueues, jobId: number, tryNumber: number): Promise<void> {
  await queues.jobs.enqueue({
    id: runQueueId(jobId, tryNumber),
    kind: RUN_KIND,
    payload: { job_id: jobId, try: tryNumber },
    maxAttempts: MAX_ATTEMPTS,
    backoffMs: BACKOFF_MS,
  });
}
