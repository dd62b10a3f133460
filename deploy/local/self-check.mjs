/**
 * One real download through a peer: `self-check.mjs --dfget PATH --socket PATH --work DIRECTORY`.
 *
 * Serves fresh random content (so that nobody can hold it already), lets dfget fetch it as a user would, its output shown, and
 * compares the bytes. Exit status 0 only when the file is right.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serveFile, sha256OfFile } from './origin.mjs';

/** Two pieces and a bit: enough to take the way through scheduler and seed, quick on any machine. */
const CONTENT_BYTES = 9 * 1024 * 1024 + 1;
const DOWNLOAD_TIMEOUT_MS = 60_000;

const { values } = parseArgs({
  options: { dfget: { type: 'string' }, socket: { type: 'string' }, work: { type: 'string' }, host: { type: 'string' } },
});
const { dfget, socket, work, host } = values;
if (!dfget || !socket || !work) throw new Error('self-check needs --dfget, --socket and --work');

const directory = await mkdtemp(join(work, 'self-check-'));
try {
  const content = join(directory, 'content');
  const output = join(directory, 'output');
  await writeFile(content, randomBytes(CONTENT_BYTES));
  const origin = await serveFile(content, { host });
  try {
    const dfgetArguments = [`-u=${origin.url}`, '-O', output, '--endpoint', socket];
    console.log(`$ dfget ${dfgetArguments.slice(0, 3).join(' ')}`);
    const status = await new Promise((resolve, reject) => {
      const child = spawn(dfget, dfgetArguments, { stdio: 'inherit', timeout: DOWNLOAD_TIMEOUT_MS });
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(signal ?? code));
    });
    if (status !== 0) throw new Error(`dfget ended with ${status}`);
    const { sha256 } = await origin.content();
    if ((await sha256OfFile(output)) !== sha256) throw new Error('the downloaded file differs from the one at the origin');
    console.log(`self-check: sha256 ok, ${origin.bodyBytesSent()} of ${CONTENT_BYTES} bytes were read from the origin`);
  } finally {
    await origin.close();
  }
} catch (error) {
  console.error(`self-check: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
