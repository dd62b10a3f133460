import { DfError } from '@dragonfly/errors';
import type { Resource } from '@dragonfly/persistence';
import type { EntityManager, FindOptionsWhere } from 'typeorm';
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

export interface Rows<T> {
  rows: T[];
  /** Rows on all pages. */
  total: number;
}

/** One page in the order of ids. Filters that are undefined or empty do not filter. */
export async function pageOfRows<T extends Resource>(
  manager: EntityManager,
  target: new () => T,
  filters: { readonly [K in keyof T]?: string | number | undefined },
  page: Page,
): Promise<Rows<T>> {
  const where = Object.fromEntries([
    ['isDel', 0],
    ...Object.entries(filters).filter(([, value]) => value !== undefined && value !== '' && value !== 0),
  ]) as FindOptionsWhere<T>;
  const [rows, total] = await manager.findAndCount(target, {
    where,
    order: { id: 'ASC' } as never,
    ...rowsOf(page),
  });
  return { rows, total };
}

/** A config as it is stored: without the parts that were left out. */
export function stored(config: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
}
