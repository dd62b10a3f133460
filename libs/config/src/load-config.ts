import { existsSync, readFileSync } from 'node:fs';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { applyEnvironment } from './environment.js';
import { findUnknownKeys } from './unknown-keys.js';

/** Largest configuration file read: 4 MiB. A larger one is a mistake, not a configuration. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

export interface LoadConfigOptions<T> {
  readonly schema: z.ZodType<T>;
  /** A file that must exist. */
  readonly file?: string | undefined;
  /** Looked for in this order when no `file` is given; none existing means defaults. */
  readonly defaultFiles?: readonly string[];
  /** Environment whose `DRAGONFLY_…` variables override keys. */
  readonly env: NodeJS.ProcessEnv;
  /** Turns an older format into today's before anything is checked; its warnings are passed on. */
  readonly translate?: (raw: unknown) => { readonly value: unknown; readonly warnings: readonly string[] };
  /** Makes unknown keys an error. @default false: a warning each */
  readonly strict?: boolean;
}

export interface LoadedConfig<T> {
  /** Frozen, also in depth. */
  readonly config: T;
  /** The file it came from; absent when only defaults and the environment spoke. */
  readonly file?: string;
  readonly warnings: readonly string[];
}

/**
 * Loads a YAML (or JSON) configuration: file, then overrides from the environment, then defaults of the schema.
 *
 * An unknown key is a warning that names it and the nearest known key, because published templates carry keys that no
 * program reads.
 * @throws DfError `invalid-argument` with one line per problem, `<file>: <key>: <rule>`; `not-found` for a missing `file`
 */
export function loadConfig<T>(options: LoadConfigOptions<T>): LoadedConfig<T> {
  const file = options.file ?? options.defaultFiles?.find((candidate) => existsSync(candidate));
  const source = file ?? 'configuration';
  const raw = file === undefined ? {} : readYaml(file);
  const translated = options.translate?.(raw) ?? { value: raw, warnings: [] };
  const value = applyEnvironment(translated.value ?? {}, options.schema, options.env);

  const parsed = options.schema.safeParse(withoutEmptyKeys(value));
  const problems = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => flattenIssue(issue)).map(({ key, rule }) => `${source}: ${key}: ${rule}`);
  const unknown = findUnknownKeys(value, options.schema).map(({ key, nearest }) =>
    nearest === undefined
      ? `${source}: ${key}: unknown key`
      : `${source}: ${key}: unknown key, did you mean ${nearest}?`,
  );
  if (options.strict === true) problems.push(...unknown);
  if (!parsed.success || problems.length > 0) throw new DfError('invalid-argument', problems.join('\n'));

  return {
    config: deepFreeze(parsed.data),
    ...(file === undefined ? {} : { file }),
    warnings: [...translated.warnings, ...(options.strict === true ? [] : unknown)],
  };
}

/** A key with nothing behind it (`logDir:`), as published templates have many, counts as left out: its default holds. */
function withoutEmptyKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([key, member]) => [key, withoutEmptyKeys(member)]),
  );
}

function readYaml(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (caught) {
    if (isErrnoException(caught) && caught.code === 'ENOENT') {
      throw new DfError('not-found', `configuration file ${file} does not exist`, { cause: caught });
    }
    throw new DfError('invalid-argument', `cannot read configuration file ${file}: ${DfError.from(caught).message}`, {
      cause: caught,
    });
  }
  if (text.length > MAX_FILE_BYTES) throw new DfError('invalid-argument', `${file}: larger than 4 MiB`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [first] = document.errors;
  if (first !== undefined) {
    const { line, col } = lines.linePos(first.pos[0]);
    throw new DfError('invalid-argument', `${file}:${line}:${col}: ${first.message}`);
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) {
    throw new DfError('invalid-argument', `${file}: must be a mapping of keys to values`);
  }
  return value;
}

interface FlatIssue {
  readonly key: string;
  readonly rule: string;
}

/** A union reports each member's complaints; the member that got furthest is the one the author meant. */
function flattenIssue(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[] = []): FlatIssue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const best = issue.errors
      .map((member) => member.flatMap((inner) => flattenIssue(inner, path)))
      .reduce((left, right) => (depthOf(right) > depthOf(left) ? right : left));
    if (depthOf(best) > path.length) return best;
  }
  return [{ key: keyOf(path), rule: issue.message }];
}

function depthOf(issues: readonly FlatIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.key.split('.').length));
}

function keyOf(path: readonly PropertyKey[]): string {
  const text = path.reduce<string>(
    (key, part) =>
      typeof part === 'number' ? `${key}[${part}]` : key === '' ? String(part) : `${key}.${String(part)}`,
    '',
  );
  return text === '' ? '(top level)' : text;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
