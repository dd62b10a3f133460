import type { DataSource, EntityManager, FindOptionsWhere } from 'typeorm';

/** Totals above this are remembered: counting them takes longer than reading a page. */
export const LARGE_TOTAL = 5_000;
/** How long a large total is good: somebody who pages through a fleet does not see the difference. */
const GOOD_FOR_MS = 1_000;
/** Totals that are remembered at a time. */
const MAX_TOTALS = 1_000;

interface Total {
  readonly count: number;
  readonly countedAtMs: number;
}

const totals = new WeakMap<DataSource, Map<string, Total>>();

/** Rows that match; for large tables as of at most a second ago. */
export async function totalOf<T extends object>(
  manager: EntityManager,
  target: new () => T,
  where: FindOptionsWhere<T>,
): Promise<number> {
  const known = totals.get(manager.connection) ?? new Map<string, Total>();
  totals.set(manager.connection, known);
  const key = `${target.name} ${JSON.stringify(where)}`;
  const before = known.get(key);
  const nowMs = performance.now();
  if (before && nowMs - before.countedAtMs < GOOD_FOR_MS) return before.count;
  const count = await manager.countBy(target, where);
  if (known.size >= MAX_TOTALS) known.clear();
  if (count > LARGE_TOTAL) known.set(key, { count, countedAtMs: nowMs });
  else known.delete(key);
  return count;
}
