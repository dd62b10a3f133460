/**
 * Rows of our own tables about jobs: what the original's `job` table has no place for, the queue behind it, what starts
 * jobs by itself, what is told to others about them, and the sums of what was transferred.
 */
import { type JsonObject, Resource } from './entities.js';

/** One entry of a job queue that lives in this database. Times are ms since 1970. */
export class QueueJobEntity {
  queue: string;
  id: string;
  kind: string;
  payload: JsonObject;
  /** `waiting`, `active`, `completed`, `failed` or `cancelled`. */
  state: string;
  /** Not to be run before. */
  runAt: number;
  /** Runs begun so far. */
  attempt: number;
  maxAttempts: number;
  /** Pause after the first failure; doubled with each further one. */
  backoffMs: number;
  /** Worker that runs it, while active. */
  owner: string | null;
  /** The owner counts as dead from then on. */
  leaseUntil: number | null;
  isCancelled: boolean;
  progress: JsonObject;
  result: JsonObject;
  error: string | null;
  createdAt: number;
  finishedAt: number | null;
}

/** What is put into a queue again and again. */
export class QueueScheduleEntity {
  queue: string;
  name: string;
  kind: string;
  payload: JsonObject;
  /** Five or six fields, UTC; null when `everyMs` counts. */
  cron: string | null;
  everyMs: number | null;
  maxAttempts: number;
  backoffMs: number;
  /** Next time, ms since 1970. */
  nextAt: number;
}

/** How a job is carried out; beside the row in `job`, which the original's tools read. */
export class JobRunEntity {
  jobId: number;
  /** 1, and one more for each time somebody asks to try it again. */
  tryNumber: number;
  /** Secret arguments, encrypted; null when there are none or the job is over. */
  secrets: string | null;
  /** Arguments that only our runner needs: where to, with which schedulers. */
  plan: JsonObject;
  progress: JsonObject;
  /** `{url}` of who wants to know the end. */
  webhook: JsonObject;
  triggerId: number | null;
  isCancelled: boolean;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** Starts jobs by itself: at times (`schedule`), or when something new is there (`watch`). */
export class JobTriggerEntity extends Resource {
  name: string;
  kind: string;
  isEnabled: boolean;
  cron: string | null;
  intervalMs: number | null;
  /** The job to start, without its secrets. */
  job: JsonObject;
  /** What is watched. */
  watch: JsonObject;
  secrets: string | null;
  /** What was seen last. */
  seen: JsonObject;
  lastFiredAt: Date | null;
  lastJobId: number | null;
  lastError: string | null;
  userId: number | null;
}

/** One message to somebody who wants to know of the end of a job. */
export class WebhookDeliveryEntity extends Resource {
  jobId: number;
  url: string;
  event: string;
  body: string;
  /** Key of the signature, encrypted. */
  secret: string | null;
  /** `PENDING`, `SUCCESS` or `FAILURE`. */
  state: string;
  attempts: number;
  statusCode: number | null;
  error: string | null;
}

/** What one group transferred in one interval, as one scheduler saw it. */
export class BandwidthEntity {
  /** Length of the interval in seconds. */
  resolutionS: number;
  /** Begin of the interval, seconds since 1970. */
  beginsAt: number;
  schedulerId: number;
  /** `cluster`, `application` or `peer`. */
  grouping: string;
  /** Empty for the whole cluster. */
  name: string;
  schedulerClusterId: number;
  downloads: number;
  failures: number;
  bytesFromSource: number;
  bytesFromPeers: number;
  bytesFromSeeds: number;
  bytesAcrossIdcs: number;
}
