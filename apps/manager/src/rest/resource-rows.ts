import { DfError } from '@dragonfly/errors';
import type { Resource } from '@dragonfly/persistence';
import { type EntityManager, type FindOptionsWhere, In } from 'typeorm';
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
  const [rows, total] = await manager.findAndCount(target, {
    where,
    order: { id: order === 'oldest first' ? 'ASC' : 'DESC' } as never,
    ...rowsOf(page),
  });
  return { rows, total };
}

/** A config as it is stored: without the parts that were left out. */
export function stored(config: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
}
