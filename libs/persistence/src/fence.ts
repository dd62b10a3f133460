import { DfError } from '@dragonfly/errors';
import { type EntityManager, EntitySchema } from 'typeorm';
import type { Columns } from './columns.js';
import { databaseError } from './database-errors.js';

/** Whose turn it is with a piece of work that one process does at a time. */
export class WorkFenceEntity {
  name: string;
  /** Grows with every turn. */
  token: number;
  /** Transactions of the turn. Counted so that the check changes the row, on every database alike, and so locks it. */
  writes: number;
}

/** Schema of the table. */
export function fenceEntitySchemas(c: Columns): EntitySchema[] {
  return [
    new EntitySchema<WorkFenceEntity>({
      name: WorkFenceEntity.name,
      tableName: 'work_fence',
      target: WorkFenceEntity,
      columns: {
        name: { ...c.varchar('name', 128), primary: true },
        token: c.big('token'),
        writes: c.big('writes'),
      },
    }),
  ];
}

/**
 * One turn of a process with a named work. Whoever begins a later turn ends this one, whether or not its process knows:
 * it may have been stopped for longer than its lock lives.
 */
export class Turn {
  readonly #overtaken = new AbortController();

  private constructor(
    readonly name: string,
    readonly token: number,
  ) {}

  /** Fires when this process has noticed that another one has taken over. */
  get overtaken(): AbortSignal {
    return this.#overtaken.signal;
  }

  /** To be run in a transaction. */
  static async begin(manager: EntityManager, name: string): Promise<Turn> {
    if (!(await changed(manager, { token: () => 'token + 1', writes: 0 }, { name }))) {
      try {
        await manager.insert(WorkFenceEntity, { name, token: 1, writes: 0 });
      } catch (error) {
        if (databaseError(error).code !== 'already-exists') throw error;
        // Somebody else was the first ever, a moment ago.
        await changed(manager, { token: () => 'token + 1', writes: 0 }, { name });
      }
    }
    const { token } = await manager.findOneByOrFail(WorkFenceEntity, { name });
    return new Turn(name, token);
  }

  /**
   * To be run first in each transaction of the work: its row stays locked until the end of the transaction, so that no
   * later turn can begin in between.
   * @throws DfError `failed-precondition` when a later turn has begun
   */
  async require(manager: EntityManager): Promise<void> {
    const { name, token } = this;
    if (await changed(manager, { writes: () => 'writes + 1' }, { name, token })) return;
    const error = new DfError('failed-precondition', `another process has taken over ${name}`);
    this.#overtaken.abort(error);
    throw error;
  }
}

async function changed(
  manager: EntityManager,
  set: { token?: () => string; writes?: number | (() => string) },
  where: { name: string; token?: number },
): Promise<boolean> {
  const { affected } = await manager.createQueryBuilder().update(WorkFenceEntity).set(set).where(where).execute();
  return (affected ?? 0) > 0;
}
