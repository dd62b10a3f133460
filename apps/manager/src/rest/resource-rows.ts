import { DfError } from '@dragonfly/errors';
import type { Resource } from '@dragonfly/persistence';
import { type EntityManager, type FindOptionsOrder, type FindOptionsSelect, type FindOptionsWhere, In } from 'typeorm';
import { LARGE_TOTAL, totalOf } from './large-totals.js';
import { rowsOf, type Page } from './pagination.js';

/** Message of the original for every row that is not there. */
export const RECORD_NOT_FOUND = 'record not found';

/** @throws DfError `not-found` */
export async function rowById<T extends Resource>(manager: EntityManager, target: new () => T, id: number): Promise<T> {
  const row = await manager.findOneBy(target, { id, isDel: 0 } as FindOptionsWhere<T>);
  if (!row) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
  return row;
}

/** Most ids in one statement; longer pages are read the plain way. */
const MAX_IDS = 1_000;
/** Ids grow with the time of creation. */
export type Order = 'oldest first' | 'newest first';

export interface Rows<T> {
  rows: T[];
  /** Rows on all pages. */
  total: number;
}

/** Only rows whose column holds one of the values; undefined = no such limit. */
export type Within<T> = { readonly [K in keyof T]?: Iterable<T[K]> | undefined };

/**
 * One page in the order of ids.
 * @param filters those that are undefined or empty do not filter
 * @param within besides the filters: what the caller may see
 */
export async function pageOfRows<T extends Resource>(
  manager: EntityManager,
  target: new () => T,
  filters: { readonly [K in keyof T]?: string | number | undefined },
  page: Page,
  within: Within<T> = {},
  order: Order = 'oldest first',
): Promise<Rows<T>> {
  const wanted = Object.fromEntries(
    Object.entries(filters).filter(([, value]) => value !== undefined && value !== '' && value !== 0),
  );
  const limits = Object.entries(within as Record<string, Iterable<unknown> | undefined>).filter(([, values]) => values);
  if (limits.some(([column, values]) => column in wanted && ![...(values ?? [])].includes(wanted[column]))) {
    return { rows: [], total: 0 };
  }
  const where = {
    isDel: 0,
    ...Object.fromEntries(limits.map(([column, values]) => [column, In([...(values ?? [])])])),
    ...wanted,
  } as unknown as FindOptionsWhere<T>;
  const total = await totalOf(manager, target, where);
  const { skip, take } = rowsOf(page);
  const isAscending = order === 'oldest first';
  if (total <= LARGE_TOTAL || take > MAX_IDS) {
    const rows = await manager.find(target, { where, order: byId(isAscending), skip, take });
    return { rows, total };
  }
  return { rows: await pageOfLargeTable(manager, target, where, total, isAscending, skip, take), total };
}

/**
 * Ids first, which an index knows, from the nearer end; then the rows of the page alone. A database that skips whole rows
 * reads all of them.
 */
async function pageOfLargeTable<T extends Resource>(
  manager: EntityManager,
  target: new () => T,
  where: FindOptionsWhere<T>,
  total: number,
  isAscending: boolean,
  skip: number,
  take: number,
): Promise<T[]> {
  const count = Math.min(take, Math.max(0, total - skip));
  if (count === 0) {
    return [];
  }
  const isFromTheEnd = skip > total / 2;
  const found = await manager.find(target, {
    select: { id: true } as FindOptionsSelect<T>,
    where,
    order: byId(isFromTheEnd ? !isAscending : isAscending),
    skip: isFromTheEnd ? total - skip - count : skip,
    take: count,
  });
  const ids = found.map(({ id }) => id);
  return manager.find(target, { where: { id: In(ids) } as FindOptionsWhere<T>, order: byId(isAscending) });
}

function byId<T>(isAscending: boolean): FindOptionsOrder<T> {
  return { id: isAscending ? 'ASC' : 'DESC' } as unknown as FindOptionsOrder<T>;
}

/** A config as it is stored: without the parts that were left out. */
export function stored(config: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
}
