import { setImmediate } from 'node:timers/promises';
import { type AuditRow, Database, insertAuditRows } from '@dragonfly/persistence';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Actor } from '../auth/caller.js';
import { Clock } from '../clock.js';
import { Logger } from '../logger.js';

/** Entries that wait for the database; more of them go to the service's log instead. */
const MAX_WAITING = 10_000;
/** Entries of one transaction; so many do not wait for the next flush. */
const BATCH = 500;
/** Longest time until an entry that nobody waits for is written. */
const FLUSH_INTERVAL_MS = 1_000;
/** Pause after a failed write. */
const RETRY_MS = 2_000;
/** Longest time that an answer waits for its entry. */
const MAX_WAIT_MS = 1_000;

/** Kinds of entries: a request of the API, or something that goes on by itself in an account's name. */
export const AUDIT_EVENTS = ['API', 'JOB'] as const;

/** One request of the API, or one thing that was done, or refused, in an account's name. */
export interface AuditEntry {
  actor: Actor;
  /** HTTP method, or what was to be done. */
  method: string;
  /** Without the query. */
  path: string;
  statusCode: number;
  /** `{ip}` of the client, or `{reason}`. */
  detail: Readonly<Record<string, string>>;
  /** @default 'API' */
  eventType?: (typeof AUDIT_EVENTS)[number];
}

/**
 * Writes who did what to the table `audit`. Entries are written in batches; a change is answered only when its entry is
 * in the table (or after a bounded wait, while the database is away). What finds no room goes to the service's log.
 */
@Injectable()
export class AuditLog implements OnApplicationShutdown {
  private waiting: AuditRow[] = [];
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private isStopped = false;
  /** The last write failed; only the next timer, and whoever waits for an entry, try again. */
  private isAway = false;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** Takes an entry; it is written a little later. */
  record(entry: AuditEntry): void {
    const { actor, method, path, statusCode, detail, eventType = 'API' } = entry;
    if (this.waiting.length >= MAX_WAITING || this.isStopped) {
      this.log.warn({ audit: { actor, method, path, statusCode, ...detail } }, 'audit entry that could not be kept');
      return;
    }
    const now = this.clock.now();
    this.waiting.push({
      createdAt: now,
      updatedAt: now,
      isDel: 0,
      actorType: actor.type,
      actorName: actor.name.slice(0, 256),
      eventType,
      operation: method,
      operatedAt: now,
      state: statusCode >= 200 && statusCode < 300 ? 'SUCCESS' : 'FAILURE',
      path: path.slice(0, 1024),
      statusCode,
      detail: { ...detail },
    });
    if (this.waiting.length >= BATCH && !this.isAway && !this.running) {
      void this.flush();
    } else {
      this.schedule(FLUSH_INTERVAL_MS);
    }
  }

  /** Takes an entry and waits until it is written, a bounded time. */
  async recordAndWait(entry: AuditEntry): Promise<void> {
    this.record(entry);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, MAX_WAIT_MS);
    try {
      await Promise.race([this.flush(), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Writes what waits. Never fails: what cannot be written stays, and is tried again. */
  async flush(): Promise<void> {
    // One that runs may have begun without the newest entries.
    await this.running;
    if (this.waiting.length === 0) {
      return;
    }
    this.running ??= this.write().finally(() => {
      this.running = undefined;
    });
    await this.running;
  }

  async onApplicationShutdown(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.flush();
    for (const lost of this.waiting) {
      this.log.warn({ audit: lost }, 'audit entry that could not be written before the stop');
    }
  }

  private schedule(pauseMs: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.flush();
    }, pauseMs).unref();
  }

  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.slice(0, BATCH);
      try {
        await this.database.transaction((manager) => insertAuditRows(manager, batch));
      } catch (error) {
        this.isAway = true;
        this.log.warn({ err: error, waiting: this.waiting.length }, 'the audit log cannot be written at present');
        if (!this.isStopped) {
          this.schedule(RETRY_MS);
        }
        return;
      }
      this.isAway = false;
      this.waiting.splice(0, batch.length);
      // SQLite writes in this thread: requests have their turn between two batches.
      await setImmediate();
    }
  }
}
