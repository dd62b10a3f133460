import { UserEntity } from '@dragonfly/persistence';
import { In, type EntityManager } from 'typeorm';

/** Accounts by id, for resources that show their owner; absent ids are left out. */
export async function usersById(
  manager: EntityManager,
  ids: readonly (number | null)[],
): Promise<Map<number, UserEntity>> {
  const wanted = [...new Set(ids.filter((id): id is number => id !== null && id > 0))];
  if (wanted.length === 0) {
    return new Map();
  }
  const rows = await manager.findBy(UserEntity, { id: In(wanted), isDel: 0 });
  return new Map(rows.map((row) => [row.id, row]));
}
