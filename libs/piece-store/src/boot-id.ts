import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ifPresent } from './file-io.js';

/**
 * Names this boot of the machine. As long as it is the same, what was written is still in the page cache or on disk,
 * however the program ended; when it changed, unflushed data may be gone.
 *
 * Where the system does not tell (no Linux), every start counts as a new boot: more checking, never less.
 */
export async function readBootId(): Promise<string> {
  const text = await ifPresent(readFile('/proc/sys/kernel/random/boot_id', 'utf8'));
  return text === undefined ? randomUUID() : text.trim();
}
