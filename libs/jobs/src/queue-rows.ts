import { DfError } from '@dragonfly/errors';
import { type Database, QueueJobEntity, QueueScheduleEntity } from '@dragonfly/persistence';
import type { JobSnapshot, JobState, JsonObject, ScheduleRequest } from './job-queue.js';
import { type CheckedRequest, nextCronTime } from './requests.js';

/** Candidates looked at in one try to take an entry: others may be faster with some of them. */
const CANDIDATES = 8;
/** Finished entries deleted at a time. */
const SWEEP_BATCH = 500;

type JobChanges = Partial<QueueJobEntity>;
type EntityManager = Database['manager'];

/** TypeORM's partial types cannot express columns with free JSON; the properties are checked by `Partial`. */
const forTypeOrm = (changes: JobChanges): never => changes as never;

/** What a worker has taken. */
export interface TakenJob {
  readonly id: string;
  readonly kind: string;
  readonly payload: JsonObject;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly backoffMs: number;
}

/** The statements of one queue. Every change of state is conditional on the state before, so that two cannot both win. */
export class QueueRows {
  constructor(
    private readonly database: Database,
    private readonly queue: string,
  ) {}

  /** @returns whether it is new */
  async insert(request: CheckedRequest, nowMs: number): Promise<boolean> {
    try {
      return await this.database.transaction((manager) => this.insertInto(manager, request, nowMs));
    } catch (error) {
      if (error instanceof DfError && error.code === 'already-exists') {
        return false;
      }
      throw error;
    }
  }

  async find(id: string): Promise<JobSnapshot | undefined> {
    const row = await this.database.transaction((manager) =>
      manager.findOneBy(QueueJobEntity, { queue: this.queue, id }),
    );
    return row ? snapshotOf(row) : undefined;
  }

  /**
   * Takes the entry that is due first; one whose owner's lease is over counts as due.
   * @param running entries that the owner is running: those it does not take again, however late it is with their leases
   * @returns what was taken, or how long to wait for the next one that is known (undefined: there is none)
   */
  async take(
    owner: string,
    running: readonly string[],
    leaseMs: number,
    nowMs: number,
  ): Promise<TakenJob | { waitMs: number | undefined }> {
    return this.database.transaction(async (manager) => {
      const { queue } = this;
      const due = await manager
        .createQueryBuilder(QueueJobEntity, 'job')
        .where('job.queue = :queue', { queue })
        .andWhere(
          `((job.state = 'waiting' AND job.runAt <= :nowMs)
            OR (job.state = 'active' AND job.leaseUntil <= :nowMs
                AND (job.owner <> :owner OR job.id NOT IN (:...running))))`,
          // No id is empty: an empty list is none that every database takes.
          { nowMs, owner, running: ['', ...running] },
        )
        .orderBy({ 'job.runAt': 'ASC', 'job.createdAt': 'ASC' })
        .limit(CANDIDATES)
        .getMany();
      for (const row of due) {
        const taken = await this.change(
          manager,
          row.id,
          row.state === 'waiting'
            ? { state: 'waiting' }
            : { state: 'active', owner: row.owner, leaseUntil: row.leaseUntil },
          { state: 'active', owner, leaseUntil: nowMs + leaseMs, attempt: row.attempt + 1 },
        );
        if (taken) {
          return { ...row, attempt: row.attempt + 1 };
        }
      }
      const next = await manager.findOne(QueueJobEntity, {
        where: { queue, state: 'waiting' },
        order: { runAt: 'ASC' },
        select: { id: true, queue: true, runAt: true },
      });
      return { waitMs: next ? Math.max(0, next.runAt - nowMs) : undefined };
    });
  }

  /**
   * Renews the leases of some of the owner's entries.
   * @param ids at least one
   * @returns those that it still holds, with whether they are to be cancelled
   */
  async renew(owner: string, ids: readonly string[], leaseUntil: number): Promise<Map<string, boolean>> {
    return this.database.transaction(async (manager) => {
      // Not all of the owner's: one whose end could not be written is to be taken up again.
      const condition = `queue = :queue AND owner = :owner AND state = 'active' AND id IN (:...ids)`;
      const values = { queue: this.queue, owner, ids };
      await manager
        .createQueryBuilder()
        .update(QueueJobEntity)
        .set(forTypeOrm({ leaseUntil }))
        .where(condition, values)
        .execute();
      const rows = await manager
        .createQueryBuilder(QueueJobEntity, 'job')
        .select(['job.queue', 'job.id', 'job.isCancelled'])
        .where(condition, values)
        .getMany();
      return new Map(rows.map((row) => [row.id, Boolean(row.isCancelled)]));
    });
  }

  /** Changes an entry that the owner holds. @returns whether it held it */
  async settle(owner: string, id: string, changes: JobChanges): Promise<boolean> {
    return this.database.transaction((manager) => this.change(manager, id, { state: 'active', owner }, changes));
  }

  /** @returns what it was, or undefined when there was nothing to cancel */
  async cancel(id: string, nowMs: number): Promise<'waiting' | 'active' | undefined> {
    return this.database.transaction(async (manager) => {
      const changes: JobChanges = { state: 'cancelled', isCancelled: true, finishedAt: nowMs };
      if (await this.change(manager, id, { state: 'waiting' }, changes)) {
        return 'waiting';
      }
      return (await this.change(manager, id, { state: 'active', isCancelled: false }, { isCancelled: true }))
        ? 'active'
        : undefined;
    });
  }

  /** Gives back what workers of an earlier process of a queue with one process only held. */
  async releaseAll(nowMs: number): Promise<void> {
    await this.database.transaction((manager) =>
      manager.update(QueueJobEntity, { queue: this.queue, state: 'active' }, { leaseUntil: nowMs }),
    );
  }

  /** Forgets entries that ended before. */
  async sweep(beforeMs: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      const { queue } = this;
      const old = await manager
        .createQueryBuilder(QueueJobEntity, 'job')
        .select(['job.queue', 'job.id'])
        .where('job.queue = :queue AND job.finishedAt < :beforeMs', { queue, beforeMs })
        .limit(SWEEP_BATCH)
        .getMany();
      if (old.length > 0) {
        await manager
          .createQueryBuilder()
          .delete()
          .from(QueueJobEntity)
          .where('queue = :queue AND id IN (:...ids)', { queue, ids: old.map((row) => row.id) })
          .execute();
      }
    });
  }

  async putSchedule(name: string, request: ScheduleRequest, nowMs: number): Promise<void> {
    const { queue } = this;
    const content = {
      kind: request.kind,
      payload: request.payload,
      cron: request.cron ?? null,
      everyMs: request.everyMs ?? null,
      maxAttempts: request.maxAttempts ?? 1,
      backoffMs: request.backoffMs ?? 1_000,
    };
    await this.database.transaction(async (manager) => {
      const existing = await manager.findOneBy(QueueScheduleEntity, { queue, name });
      const isSameRhythm = existing?.cron === content.cron && existing.everyMs === content.everyMs;
      const nextAt = isSameRhythm ? existing.nextAt : nextTime(content, nowMs);
      await manager.save(QueueScheduleEntity, { queue, name, ...content, nextAt });
    });
  }

  async deleteSchedule(name: string): Promise<boolean> {
    const { affected } = await this.database.transaction((manager) =>
      manager.delete(QueueScheduleEntity, { queue: this.queue, name }),
    );
    return (affected ?? 0) > 0;
  }

  async scheduleNames(): Promise<string[]> {
    const rows = await this.database.transaction((manager) =>
      manager.find(QueueScheduleEntity, { where: { queue: this.queue }, select: { queue: true, name: true } }),
    );
    return rows.map((row) => row.name);
  }

  /** Puts in what is due. @returns how long until the next one, undefined without schedules */
  async fireSchedules(nowMs: number): Promise<number | undefined> {
    return this.database.transaction(async (manager) => {
      let nextAt: number | undefined;
      for (const row of await manager.findBy(QueueScheduleEntity, { queue: this.queue })) {
        let { nextAt: at } = row;
        if (at <= nowMs) {
          at = nextTime(row, nowMs);
          const { affected } = await manager.update(
            QueueScheduleEntity,
            { queue: this.queue, name: row.name, nextAt: row.nextAt },
            { nextAt: at },
          );
          // Another process may have put it in; the id says the same in a race that this check does not see.
          if ((affected ?? 0) > 0) {
            await this.insertInto(
              manager,
              {
                id: `${row.name}.${row.nextAt}`,
                kind: row.kind,
                payload: row.payload,
                delayMs: 0,
                maxAttempts: row.maxAttempts,
                backoffMs: row.backoffMs,
              },
              nowMs,
            );
          }
        }
        nextAt = Math.min(nextAt ?? at, at);
      }
      return nextAt === undefined ? undefined : Math.max(0, nextAt - nowMs);
    });
  }

  private async insertInto(manager: EntityManager, request: CheckedRequest, nowMs: number): Promise<boolean> {
    const { queue } = this;
    if (await manager.existsBy(QueueJobEntity, { queue, id: request.id })) {
      return false;
    }
    const row = {
      queue,
      id: request.id,
      kind: request.kind,
      payload: request.payload,
      state: 'waiting',
      runAt: nowMs + request.delayMs,
      attempt: 0,
      maxAttempts: request.maxAttempts,
      backoffMs: request.backoffMs,
      isCancelled: false,
      createdAt: nowMs,
    };
    await manager.insert(QueueJobEntity, forTypeOrm(row));
    return true;
  }

  private async change(
    manager: EntityManager,
    id: string,
    where: Pick<Partial<QueueJobEntity>, 'state' | 'owner' | 'leaseUntil' | 'isCancelled'>,
    changes: JobChanges,
  ): Promise<boolean> {
    const conditions = Object.fromEntries(Object.entries(where).filter(([, value]) => value !== null));
    const { affected } = await manager.update(
      QueueJobEntity,
      { queue: this.queue, id, ...conditions },
      forTypeOrm(changes),
    );
    return (affected ?? 0) > 0;
  }
}

function nextTime({ cron, everyMs }: { cron: string | null; everyMs: number | null }, nowMs: number): number {
  return cron === null ? nowMs + (everyMs ?? 0) : nextCronTime(cron, nowMs);
}

function snapshotOf(row: QueueJobEntity): JobSnapshot {
  return {
    id: row.id,
    kind: row.kind,
    payload: row.payload,
    state: row.state as JobState,
    attempt: row.attempt,
    progress: row.progress,
    result: row.result,
    error: row.error ?? undefined,
  };
}
