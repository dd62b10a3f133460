import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { DfError } from '@dragonfly/errors';
import { MAX_BACKOFF_MS, MIN_INTERVAL_MS, type JobRequest, type ScheduleRequest } from './job-queue.js';

const ID = /^(?!\d+$)[A-Za-z0-9_.-]{1,100}$/;
const MAX_ATTEMPTS = 100;
const DEFAULT_BACKOFF_MS = 1_000;
const MAX_DELAY_MS = 366 * 86_400_000;

/** A request with its defaults. */
export type CheckedRequest = Required<JobRequest>;

/** @throws DfError `invalid-argument` naming the field */
export function checkRequest(request: JobRequest): CheckedRequest {
  const checked = {
    id: request.id ?? randomUUID(),
    kind: request.kind,
    payload: request.payload,
    delayMs: request.delayMs ?? 0,
    maxAttempts: request.maxAttempts ?? 1,
    backoffMs: request.backoffMs ?? DEFAULT_BACKOFF_MS,
  };
  check(ID.test(checked.id), 'id: must be 1 to 100 characters of A-Z a-z 0-9 _ . - and no bare number');
  check(checked.kind.length > 0 && checked.kind.length <= 64, 'kind: must be 1 to 64 characters');
  check(within(checked.delayMs, 0, MAX_DELAY_MS), `delayMs: must be 0 to ${MAX_DELAY_MS}`);
  check(within(checked.maxAttempts, 1, MAX_ATTEMPTS), `maxAttempts: must be 1 to ${MAX_ATTEMPTS}`);
  check(within(checked.backoffMs, 1, MAX_BACKOFF_MS), `backoffMs: must be 1 to ${MAX_BACKOFF_MS}`);
  return checked;
}

/** @throws DfError `invalid-argument` naming the field */
export function checkSchedule(name: string, request: ScheduleRequest): void {
  check(ID.test(name), 'name: must be 1 to 100 characters of A-Z a-z 0-9 _ . - and no bare number');
  check((request.cron === undefined) !== (request.everyMs === undefined), 'either cron or everyMs must be given');
  check(
    request.everyMs === undefined || within(request.everyMs, MIN_INTERVAL_MS, MAX_DELAY_MS),
    `everyMs: must be ${MIN_INTERVAL_MS} to ${MAX_DELAY_MS}`,
  );
  if (request.cron !== undefined) {
    nextCronTime(request.cron, Date.now());
  }
  checkRequest({ ...request, id: 'schedule' });
}

/**
 * The first time after `afterMs` that the cron text (UTC) names, in ms since 1970.
 * @throws DfError `invalid-argument`
 */
export function nextCronTime(cron: string, afterMs: number): number {
  // The library takes fewer fields too and fills them up; an accidental "* *" is to be refused.
  const fields = cron.trim().split(/\s+/).length;
  check(fields === 5 || fields === 6, `cron: "${cron}" must have five or six fields`);
  // Loaded with the first schedule: it brings a library of calendars and time zones.
  const { CronExpressionParser } = createRequire(import.meta.url)('cron-parser') as typeof import('cron-parser');
  try {
    return CronExpressionParser.parse(cron, { currentDate: new Date(afterMs), tz: 'UTC' })
      .next()
      .getTime();
  } catch (error) {
    throw new DfError('invalid-argument', `cron: "${cron}": ${DfError.from(error).message}`, { cause: error });
  }
}

/** Pause before the next run after so many failures. */
export function backoffAfter(failures: number, backoffMs: number): number {
  return Math.min(MAX_BACKOFF_MS, backoffMs * 2 ** Math.min(failures - 1, 30));
}

function within(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function check(holds: boolean, message: string): void {
  if (!holds) {
    throw new DfError('invalid-argument', message);
  }
}
