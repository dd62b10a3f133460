/**
 * One real download through a peer: `self-check.mjs --dfget PATH --socket PATH` or `self-check.mjs --container ID --host IP`.
 *
 * Serves fresh random content (so that nobody can hold it already), lets dfget fetch it as a user would, its output shown, and
 * compares the bytes. Exit status 0 only when the file is right.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serveFile } from './origin.mjs';
import { containerPeer, localPeer } from './peer-shell.mjs';

/** Two pieces and a bit: enough to take the way through scheduler and seed, quick on any machine. */
const CONTENT_BYTES = 9 * 1024 * 1024 + 1;

const { values } = parseArgs({
  options: {
    dfget: { type: 'string' },
    socket: { type: 'string' },
    container: { type: 'string' },
    host: { type: 'string' },
    work: { type: 'string' },
  },
});
const { dfget, socket, container, host, work = tmpdir() } = values;

const directory = await mkdtemp(join(work, 'self-check-'));
try {
  const content = join(directory, 'content');
  await writeFile(content, randomBytes(CONTENT_BYTES));
  const peer = container
    ? containerPeer({ name: 'peer', container })
    : localPeer({ name: 'peer', dfget: dfget ?? 'dfget', socket: socket ?? '', directory });
  const origin = await serveFile(content, { host });
  try {
    const output = 'self-check.bin';
    console.log(`$ dfget -u=${origin.url} -O ${output}`);
    const { status } = await peer.dfget(origin.url, output, { isShown: true });
    if (status !== 0) throw new Error(`dfget ended with ${status}`);
    const { sha256 } = await origin.content();
    if ((await peer.sha256(output)) !== sha256)
      throw new Error('the downloaded file differs from the one at the origin');
    await peer.remove(output);
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
