import type { EntityManager, QueryDeepPartialEntity } from 'typeorm';
import type { Resource } from './entities.js';

/** TypeORM's partial types cannot express columns with free JSON; the properties are checked by `Partial<T>`. */
function forTypeOrm<T extends Resource>(row: Partial<T>): QueryDeepPartialEntity<T> {
  return row as unknown as QueryDeepPartialEntity<T>;
}

/**
 * Inserts a row with its time stamps.
 * @returns its id
 */
export async function insertRow<T extends Resource>(
  manager: EntityManager,
  target: new () => T,
  now: Date,
  row: Partial<T>,
): Promise<number> {
  const stamped = { ...row, createdAt: now, updatedAt: now, isDel: 0 };
  const { identifiers } = await manager.insert(target, forTypeOrm<T>(stamped));
  return Number(identifiers[0]?.['id']);
}

/**
 * Changes some columns of one row and its time stamp; columns left out (or undefined) stay as they are.
 * @returns whether the row exists
 */
export async function updateRow<T extends Resource>(
  manager: EntityManager,
  target: new () => T,
  now: Date,
  id: number,
  changes: Partial<T>,
): Promise<boolean> {
  const { affected } = await manager
    .createQueryBuilder()
    .update(target)
    .set(forTypeOrm<T>({ ...changes, updatedAt: now }))
    .where('id = :id AND is_del = 0', { id })
    .execute();
  return (affected ?? 0) > 0;
}
