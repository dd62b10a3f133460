import type { z } from 'zod';
import { shapeOf } from './schema-shape.js';

export interface UnknownKey {
  /** Path such as `download.conurrentPieceCount`. */
  readonly key: string;
  /** Path of the known key that looks most like it, when one does. */
  readonly nearest?: string;
}

/** Keys of `value` that `schema` does not know, in the order of the file. Open mappings know every key. */
export function findUnknownKeys(value: unknown, schema: z.ZodType, path = ''): UnknownKey[] {
  const shape = shapeOf(schema);
  if (shape.kind === 'array') {
    if (!Array.isArray(value)) return [];
    return value.flatMap((member, index) => findUnknownKeys(member, shape.element, `${path}[${index}]`));
  }
  if (shape.kind === 'leaf' || typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, member]): UnknownKey[] => {
    const key = path === '' ? name : `${path}.${name}`;
    const known = Object.hasOwn(shape.keys, name) ? shape.keys[name] : undefined;
    if (known !== undefined) return findUnknownKeys(member, known, key);
    if (shape.isOpen) return [];
    const nearest = nearestOf(name, Object.keys(shape.keys));
    return [nearest === undefined ? { key } : { key, nearest: path === '' ? nearest : `${path}.${nearest}` }];
  });
}

/** The candidate within a third of the word's length in edits (at least two), or none. */
function nearestOf(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const substitution = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
