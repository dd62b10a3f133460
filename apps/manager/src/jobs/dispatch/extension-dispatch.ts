import { setTimeout as delay } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { durationToMs, extJobs, msToDuration } from '@dragonfly/proto';
import { readStream, unary } from '@dragonfly/rpc';
import type { SchedulerClients } from './scheduler-clients.js';
import type { PreheatScope, SchedulerWork, WorkEnd, WorkProgress, WorkRun } from './scheduler-work.js';

/** A stream that broke is opened again so often; the scheduler goes on meanwhile and tells everything again. */
const MAX_RECONNECTS = 10;
const RECONNECT_MIN_MS = 500;
const RECONNECT_MAX_MS = 15_000;
const CANCEL_DEADLINE_MS = 5_000;
/** The scheduler ends a job by its timeout; so much later we stop waiting for it to say so. */
const END_GRACE_MS = 30_000;

const SCOPES: Record<PreheatScope, extJobs.JobScope> = {
  single_seed_peer: extJobs.JobScope.JOB_SCOPE_SINGLE_SEED_PEER,
  all_seed_peers: extJobs.JobScope.JOB_SCOPE_ALL_SEED_PEERS,
  all_peers: extJobs.JobScope.JOB_SCOPE_ALL_PEERS,
};

/** Lets schedulers of ours do the work, through the job service of the extension package. */
export class ExtensionDispatch {
  constructor(private readonly clients: SchedulerClients) {}

  /** @returns how it ended; undefined when the scheduler has no such service */
  async run(run: WorkRun): Promise<WorkEnd | undefined> {
    const giveUp = AbortSignal.timeout(run.timeoutMs + END_GRACE_MS);
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.watch(run, AbortSignal.any([run.signal, giveUp]));
      } catch (error) {
        const failure = DfError.from(error);
        if (run.signal.aborted) {
          return this.interrupted(run);
        }
        if (failure.code === 'unimplemented') {
          return undefined;
        }
        if (giveUp.aborted || failures >= MAX_RECONNECTS || !failure.retryable) {
          return { state: giveUp.aborted ? 'timed-out' : 'failed', description: failure.message };
        }
        const pauseMs = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** failures);
        const rested = await delay(pauseMs, true, { signal: run.signal, ref: false }).catch(() => false);
        if (!rested) {
          return this.interrupted(run);
        }
      }
    }
  }

  private async watch(run: WorkRun, signal: AbortSignal): Promise<WorkEnd> {
    run.onEvent({ type: 'restart' });
    const call = this.clients.jobs(run.target).runJob({
      jobId: run.runId,
      timeout: msToDuration(run.timeoutMs),
      job: jobOf(run.work),
    });
    const idleTimeoutMs = run.timeoutMs + END_GRACE_MS;
    for await (const { event } of readStream<extJobs.JobEvent>(call, { signal, idleTimeoutMs })) {
      const end = event && tell(run, event);
      if (end) {
        return end;
      }
    }
    throw new DfError('unavailable', 'the scheduler ended the stream of the job before the job', { retryable: true });
  }

  private async interrupted(run: WorkRun): Promise<WorkEnd> {
    const reason = DfError.from(run.signal.reason, 'cancelled');
    if (reason.code !== 'cancelled') {
      throw reason;
    }
    const client = this.clients.jobs(run.target);
    try {
      await unary(client.cancelJob.bind(client), { jobId: run.runId }, { deadlineMs: CANCEL_DEADLINE_MS });
      return { state: 'cancelled', description: reason.message };
    } catch (error) {
      const failure = DfError.from(error);
      // Over already, or never begun.
      const isOver = failure.code === 'not-found';
      const description = isOver ? reason.message : `${reason.message}; the scheduler was not told: ${failure.message}`;
      return { state: 'cancelled', description };
    }
  }
}

function tell(run: WorkRun, event: NonNullable<extJobs.JobEvent['event']>): WorkEnd | undefined {
  switch (event.$case) {
    case 'progress':
      run.onEvent({ type: 'progress', progress: progressOf(event.value) });
      return undefined;
    case 'taskOutcome': {
      const { value } = event;
      run.onEvent({
        type: 'outcome',
        outcome: {
          taskId: value.taskId,
          url: value.url,
          hostId: value.hostId,
          hostname: value.hostname,
          ip: value.ip,
          hostType: value.hostType,
          isSuccess: value.succeeded,
          description: value.description,
          contentLengthBytes: Number(value.contentLength),
          costMs: value.cost ? durationToMs(value.cost) : 0,
        },
      });
      return undefined;
    }
    case 'hosts': {
      const hosts = event.value.hosts.flatMap(({ host, peerId, isFinished, createdAt, updatedAt }) =>
        host ? [{ host, peerId, isFinished, createdAt, updatedAt }] : [],
      );
      run.onEvent({ type: 'hosts', hosts });
      return undefined;
    }
    case 'finished':
      if (event.value.progress) {
        run.onEvent({ type: 'progress', progress: progressOf(event.value.progress) });
      }
      return { state: endStateOf(event.value.state), description: event.value.description };
  }
}

function endStateOf(state: extJobs.JobState): WorkEnd['state'] {
  switch (state) {
    case extJobs.JobState.JOB_STATE_SUCCEEDED:
      return 'succeeded';
    case extJobs.JobState.JOB_STATE_CANCELLED:
      return 'cancelled';
    case extJobs.JobState.JOB_STATE_TIMED_OUT:
      return 'timed-out';
    default:
      return 'failed';
  }
}

function progressOf(progress: extJobs.JobProgress): WorkProgress {
  return {
    total: progress.total,
    succeeded: progress.succeeded,
    failed: progress.failed,
    completedBytes: Number(progress.completedBytes),
    totalBytes: Number(progress.totalBytes),
  };
}

function jobOf(work: SchedulerWork): extJobs.RunJobRequest['job'] {
  switch (work.kind) {
    case 'preheat':
      return {
        $case: 'preheat',
        value: {
          downloads: [...work.downloads],
          scope: SCOPES[work.scope],
          ips: [...work.ips],
          count: work.count,
          percentage: work.percentage,
          concurrentTaskCount: work.concurrentTaskCount,
          concurrentPeerCount: work.concurrentPeerCount,
        },
      };
    case 'get_task':
      return { $case: 'getTask', value: { taskId: work.taskId, concurrentPeerCount: work.concurrentPeerCount } };
    case 'delete_task':
      return { $case: 'deleteTask', value: { taskId: work.taskId, concurrentPeerCount: work.concurrentPeerCount } };
    case 'sync_peers':
      return { $case: 'syncPeers', value: {} };
  }
}
