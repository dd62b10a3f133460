import { parse } from 'yaml';
import type { z } from 'zod';
import { shapeOf } from './schema-shape.js';

const PREFIX = 'DRAGONFLY_';
const LEVEL_SEPARATOR = '__';

/**
 * Lays `DRAGONFLY_…` variables over a raw configuration.
 *
 * The name is the path of the key in upper snake case with `__` between levels:
 * `DRAGONFLY_DOWNLOAD__CONCURRENT_PIECE_COUNT` sets `download.concurrentPieceCount`. The text is read as YAML, so that
 * numbers, booleans and lists (`[a, b]`) work. A variable that matches no key is left alone: other programs own
 * variables with the same prefix.
 * @returns a new value; the argument is not changed
 */
export function applyEnvironment(raw: unknown, schema: z.ZodType, env: NodeJS.ProcessEnv): unknown {
  let result = raw;
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || text === undefined) continue;
    const path = resolve(name.slice(PREFIX.length).split(LEVEL_SEPARATOR), schema);
    if (path !== undefined) result = withValue(result, path, readText(text));
  }
  return result;
}

/** Text that is not YAML (a lone `*`, say) is taken as it stands. */
function readText(text: string): unknown {
  try {
    const value: unknown = parse(text);
    return value ?? '';
  } catch {
    return text;
  }
}

function resolve(words: readonly string[], schema: z.ZodType): string[] | undefined {
  const [word, ...rest] = words;
  if (word === undefined) return [];
  const shape = shapeOf(schema);
  if (shape.kind !== 'object') return undefined;
  const wanted = normalise(word);
  const key = Object.keys(shape.keys).find((candidate) => normalise(candidate) === wanted);
  const member = key === undefined ? undefined : shape.keys[key];
  if (key === undefined || member === undefined) return undefined;
  const tail = resolve(rest, member);
  return tail === undefined ? undefined : [key, ...tail];
}

function normalise(word: string): string {
  return word.replaceAll(/[_-]/g, '').toLowerCase();
}

function withValue(target: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  return { ...base, [key]: withValue((base as Record<string, unknown>)[key], rest, value) };
}
