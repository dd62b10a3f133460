import { createHash } from 'node:crypto';
import type { JsonObject } from '@dragonfly/persistence';
import { jsonTime } from '../rest/json-time.js';
import { plainUrl } from './masking.js';
import type {
  SchedulerTarget,
  SchedulerWork,
  WorkEnd,
  WorkEvent,
  WorkHost,
  WorkOutcome,
  WorkProgress,
} from './dispatch/scheduler-work.js';

/** Seconds that the original keeps the record of a task; clients read the field. */
const RECORD_TTL_S = 86_400;
/** Outcomes kept for one scheduler; a preheat of many files to many hosts has more than anybody reads. */
const MAX_OUTCOMES = 20_000;
/** Hosts kept for one scheduler. */
const MAX_HOSTS = 100_000;

const NO_PROGRESS: WorkProgress = { total: 0, succeeded: 0, failed: 0, completedBytes: 0, totalBytes: 0 };

/** What one scheduler has told about its part of a job. */
export class SchedulerPart {
  private outcomes = new Map<string, WorkOutcome>();
  private hosts = new Map<string, WorkHost>();
  private leftOut = 0;
  private end: WorkEnd | undefined;
  progress: WorkProgress = NO_PROGRESS;

  constructor(
    readonly target: SchedulerTarget,
    private readonly work: SchedulerWork,
    private readonly groupId: string,
    private readonly startedAt: Date,
  ) {}

  note(event: WorkEvent): void {
    switch (event.type) {
      case 'restart':
        this.outcomes = new Map();
        this.hosts = new Map();
        this.leftOut = 0;
        this.progress = NO_PROGRESS;
        return;
      case 'progress':
        this.progress = event.progress;
        return;
      case 'outcome': {
        const { outcome } = event;
        if (this.outcomes.size >= MAX_OUTCOMES) {
          this.leftOut += 1;
          return;
        }
        this.outcomes.set(`${outcome.taskId} ${outcome.hostId} ${outcome.url}`, outcome);
        return;
      }
      case 'hosts':
        for (const host of event.hosts) {
          if (this.hosts.size < MAX_HOSTS) {
            this.hosts.set(`${host.host.id} ${host.peerId}`, host);
          }
        }
    }
  }

  finish(end: WorkEnd): void {
    this.end = end;
  }

  get state(): 'PENDING' | 'SUCCESS' | 'FAILURE' {
    return !this.end ? 'PENDING' : this.end.state === 'succeeded' ? 'SUCCESS' : 'FAILURE';
  }

  get foundHosts(): readonly WorkHost[] {
    return [...this.hosts.values()];
  }

  /** An element of `job_states`: the original's keys, and ours. */
  body(): JsonObject {
    const { end } = this;
    const hasResults = end !== undefined && (end.state === 'succeeded' || this.outcomes.size + this.hosts.size > 0);
    return {
      task_uuid: uuidOf(`${this.groupId} ${this.target.id}`),
      task_name: this.work.kind,
      state: this.state,
      results: hasResults ? [this.results()] : null,
      error: end && end.state !== 'succeeded' ? errorText(end) : '',
      created_at: jsonTime(this.startedAt),
      ttl: RECORD_TTL_S,
      progress: progressBody(this.progress),
      scheduler: { id: this.target.id, hostname: this.target.hostname, ip: this.target.ip },
    };
  }

  private results(): JsonObject {
    const scheduler_cluster_id = this.target.clusterId;
    const outcomes = [...this.outcomes.values()];
    const leftOut = this.leftOut > 0 ? { left_out: this.leftOut } : {};
    switch (this.work.kind) {
      case 'preheat':
        return {
          success_tasks: outcomes.filter((one) => one.isSuccess).map((one) => ({ ...layerOf(one), ...ownOf(one) })),
          failure_tasks: outcomes
            .filter((one) => !one.isSuccess)
            .map((one) => ({ ...layerOf(one), description: one.description, ...ownOf(one) })),
          scheduler_cluster_id,
          ...leftOut,
        };
      case 'get_task':
        return { peers: this.foundHosts.map(peerOf), scheduler_cluster_id };
      case 'delete_task':
        return {
          success_tasks: outcomes.filter((one) => one.isSuccess).map(hostOf),
          failure_tasks: outcomes
            .filter((one) => !one.isSuccess)
            .map((one) => ({ ...hostOf(one), description: one.description })),
          scheduler_cluster_id,
          ...leftOut,
        };
      case 'sync_peers':
        return { scheduler_cluster_id, count: this.hosts.size };
    }
  }
}

/** The result of a job: FAILURE when a part failed, else PENDING while one is not done, else SUCCESS. */
export function resultBody(
  groupId: string,
  parts: readonly SchedulerPart[],
  times: { createdAt: Date; updatedAt: Date },
  failure?: string,
): JsonObject & { state: string } {
  const states = parts.map((part) => part.state);
  const isPending = states.includes('PENDING');
  const state =
    failure !== undefined || (!isPending && states.includes('FAILURE'))
      ? 'FAILURE'
      : isPending || parts.length === 0
        ? 'PENDING'
        : 'SUCCESS';
  return {
    group_uuid: groupId,
    state,
    created_at: jsonTime(times.createdAt),
    updated_at: jsonTime(times.updatedAt),
    job_states:
      parts.length === 0 && failure !== undefined
        ? [bareState(groupId, failure, times.createdAt)]
        : parts.map((part) => part.body()),
    progress: progressBody(totalOf(parts.map((part) => part.progress))),
    ...(failure === undefined ? {} : { error: failure }),
  };
}

/** Clients look for errors in `job_states` only. */
function bareState(groupId: string, error: string, createdAt: Date): JsonObject {
  return {
    task_uuid: uuidOf(groupId),
    task_name: '',
    state: 'FAILURE',
    results: null,
    error,
    created_at: jsonTime(createdAt),
    ttl: RECORD_TTL_S,
  };
}

export function totalOf(parts: readonly WorkProgress[]): WorkProgress {
  return parts.reduce(
    (sum, part) => ({
      total: sum.total + part.total,
      succeeded: sum.succeeded + part.succeeded,
      failed: sum.failed + part.failed,
      completedBytes: sum.completedBytes + part.completedBytes,
      totalBytes: sum.totalBytes + part.totalBytes,
    }),
    NO_PROGRESS,
  );
}

export function progressBody(progress: WorkProgress): JsonObject {
  return {
    total: progress.total,
    succeeded: progress.succeeded,
    failed: progress.failed,
    completed_bytes: progress.completedBytes,
    total_bytes: progress.totalBytes,
  };
}

function errorText(end: WorkEnd): string {
  if (end.state === 'timed-out') {
    return end.description === '' ? 'timed out' : `timed out: ${end.description}`;
  }
  return end.description === '' ? end.state : end.description;
}

function layerOf(one: WorkOutcome): JsonObject {
  return { url: shownUrl(one.url), hostname: one.hostname, ip: one.ip };
}

/** Signed URLs carry secrets in their query; what is left names the file or layer. */
function shownUrl(url: string): string {
  return url.includes('?') || url.includes('@') ? plainUrl(url) : url;
}

function ownOf(one: WorkOutcome): JsonObject {
  return {
    task_id: one.taskId,
    host_type: hostTypeName(one.hostType),
    content_length: one.contentLengthBytes,
    cost_ms: one.costMs,
  };
}

function hostOf(one: WorkOutcome): JsonObject {
  return { hostname: one.hostname, ip: one.ip, host_type: hostTypeName(one.hostType) };
}

function peerOf({ host, peerId, isFinished, createdAt, updatedAt }: WorkHost): JsonObject {
  return {
    id: peerId === '' ? host.id : peerId,
    hostname: host.hostname,
    ip: host.ip,
    host_type: hostTypeName(host.type),
    created_at: jsonTime(createdAt),
    updated_at: jsonTime(updatedAt),
    IsFinished: isFinished,
  };
}

function hostTypeName(type: number): string {
  return type === 0 ? 'normal' : 'super';
}

/** The same text gives the same id, so that an id does not change between two reads of a running job. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `task_${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
