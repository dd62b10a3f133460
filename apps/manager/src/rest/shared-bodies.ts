import { z } from 'zod';
import { jsonTime } from './json-time.js';

/** RFC 3339 in UTC. */
export const time = (): z.ZodType<string> => z.string().meta({ format: 'date-time' });
/** Free JSON. */
export const json = (): z.ZodType<Record<string, unknown>> => z.record(z.string(), z.unknown());

/** What every resource has. */
export interface BaseBody {
  id: number;
  created_at: string;
  updated_at: string;
  is_del: number;
}

export const baseFields = { id: z.int(), created_at: time(), updated_at: time(), is_del: z.int() };

export function base(row: { id: number; createdAt: Date | null; updatedAt: Date | null; isDel: number }): BaseBody {
  return { id: row.id, created_at: jsonTime(row.createdAt), updated_at: jsonTime(row.updatedAt), is_del: row.isDel };
}

/** Of a nested resource that was not loaded. */
export const ZERO_BASE: BaseBody = { id: 0, created_at: jsonTime(null), updated_at: jsonTime(null), is_del: 0 };
