import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { parse, stringify } from 'yaml';
import { type DynamicConfig, dynamicConfigSchema } from './dynamic-config.js';

/** Largest file read. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads a dynamic configuration.
 * @returns `undefined` when there is no such file
 * @throws DfError `invalid-argument` naming the file and the rule
 */
export async function readDynamicConfig(file: string): Promise<DynamicConfig | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
  if (text.length > MAX_FILE_BYTES) throw new DfError('invalid-argument', `${file}: larger than 1 MiB`);
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new DfError('invalid-argument', `${file}: ${DfError.from(error).message}`, { cause: error });
  }
  const parsed = dynamicConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new DfError('invalid-argument', `${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}

/** Writes a dynamic configuration so that a reader sees the old or the new one, whole. */
export async function writeDynamicConfig(file: string, config: DynamicConfig): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, stringify(config));
  await rename(temporary, file);
}
