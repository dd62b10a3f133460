import { assertNever, DfError } from '@dragonfly/errors';
import { type DeepPartial, extJobs, msToDuration } from '@dragonfly/proto';
import type { JobNews, JobProgress, JobResult } from './job-run.js';
import {
  DEFAULT_CONCURRENT_PEER_COUNT,
  DEFAULT_CONCURRENT_TASK_COUNT,
  type JobSpec,
  type PreheatScope,
} from './job-spec.js';

/** @throws DfError `invalid-argument` */
export function specOfRequest({ job }: extJobs.RunJobRequest): JobSpec {
  switch (job?.$case) {
    case 'preheat': {
      const { downloads, scope, ips, count, percentage, concurrentTaskCount, concurrentPeerCount } = job.value;
      return {
        kind: 'preheat',
        downloads,
        target: {
          scope: scopeOf(scope),
          ips,
          ...(count === undefined ? {} : { count }),
          ...(percentage === undefined ? {} : { percentage }),
        },
        concurrentTaskCount: concurrentTaskCount || DEFAULT_CONCURRENT_TASK_COUNT,
        concurrentPeerCount: concurrentPeerCount || DEFAULT_CONCURRENT_PEER_COUNT,
      };
    }
    case 'getTask':
    case 'deleteTask':
      return {
        kind: job.$case === 'getTask' ? 'get-task' : 'delete-task',
        taskId: job.value.taskId,
        concurrentPeerCount: job.value.concurrentPeerCount || DEFAULT_CONCURRENT_PEER_COUNT,
      };
    case 'syncPeers':
      return { kind: 'sync-peers' };
    case undefined:
      throw new DfError('invalid-argument', 'RunJobRequest.job: value is required');
    default:
      return assertNever(job);
  }
}

export function eventOfNews(jobId: string, news: JobNews, at: Date): DeepPartial<extJobs.JobEvent> {
  return { jobId, at, event: eventOf(news) };
}

function eventOf(news: JobNews): DeepPartial<extJobs.JobEvent>['event'] {
  switch (news.kind) {
    case 'progress':
      return { $case: 'progress', value: progressMessage(news.progress) };
    case 'outcome': {
      const { isSeed, contentLengthBytes, costMs, ...same } = news.outcome;
      return {
        $case: 'taskOutcome',
        value: {
          ...same,
          hostType: isSeed ? 1 : 0,
          contentLength: BigInt(contentLengthBytes),
          cost: msToDuration(costMs),
        },
      };
    }
    case 'hosts':
      return { $case: 'hosts', value: { hosts: [...news.hosts] } };
    case 'finished':
      return {
        $case: 'finished',
        value: {
          state: STATES[news.end.result],
          description: news.end.description,
          progress: progressMessage(news.progress),
        },
      };
    default:
      return assertNever(news);
  }
}

const STATES: Readonly<Record<JobResult, extJobs.JobState>> = {
  succeeded: extJobs.JobState.JOB_STATE_SUCCEEDED,
  failed: extJobs.JobState.JOB_STATE_FAILED,
  cancelled: extJobs.JobState.JOB_STATE_CANCELLED,
  'timed-out': extJobs.JobState.JOB_STATE_TIMED_OUT,
};

function progressMessage(progress: JobProgress): DeepPartial<extJobs.JobProgress> {
  const { total, succeeded, failed, completedBytes, totalBytes } = progress;
  return { total, succeeded, failed, completedBytes: BigInt(completedBytes), totalBytes: BigInt(totalBytes) };
}

function scopeOf(scope: extJobs.JobScope): PreheatScope {
  switch (scope) {
    case extJobs.JobScope.JOB_SCOPE_ALL_SEED_PEERS:
      return 'all-seed-peers';
    case extJobs.JobScope.JOB_SCOPE_ALL_PEERS:
      return 'all-peers';
    case extJobs.JobScope.JOB_SCOPE_SINGLE_SEED_PEER:
    case extJobs.JobScope.JOB_SCOPE_UNSPECIFIED:
      return 'single-seed-peer';
  }
}
