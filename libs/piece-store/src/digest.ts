import { createHash, getHashes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { DfError } from '@dragonfly/errors';
import { readFully } from './file-io.js';
import { abortable } from './waiting.js';

/** Below this a thread costs more than it saves: sha256 of this much holds the event loop for about 3 ms. */
const INLINE_LIMIT_BYTES = 1 << 20;
/** Hashing is bound by the processor; more at once would only slow the pieces down. */
const MAX_WORKERS = 2;

const ALGORITHMS: ReadonlySet<string> = new Set(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'crc32']);

/** Runs from `src` (tests) as well as from `dist`. */
const WORKER_URL = new URL(
  import.meta.url.endsWith('.ts') ? './digest-worker.ts' : './digest-worker.js',
  import.meta.url,
);

let running = 0;
const queue: (() => void)[] = [];

/**
 * Splits `algorithm:encoded`.
 * @throws DfError `invalid-argument` naming the rule
 */
export function splitDigest(digest: string): { algorithm: string; encoded: string } {
  const colon = digest.indexOf(':');
  const algorithm = digest.slice(0, Math.max(0, colon)).toLowerCase();
  const encoded = digest.slice(colon + 1);
  if (!isKnownAlgorithm(algorithm) || encoded === '') {
    throw new DfError(
      'invalid-argument',
      `digest ${JSON.stringify(digest.slice(0, 160))}: must be <algorithm>:<value> with one of ${[...ALGORITHMS].join(', ')}`,
    );
  }
  return { algorithm, encoded };
}

function isKnownAlgorithm(algorithm: string): boolean {
  return algorithm === 'crc32' || (ALGORITHMS.has(algorithm) && getHashes().includes(algorithm));
}

/**
 * Digest of the first `lengthBytes` of an open file, in a worker thread when it is large; at most two at a time, others
 * wait. The caller keeps `fd` open until the promise is settled.
 * @returns lower case hex; decimal for crc32
 * @throws DfError `data-loss` when the file is shorter, `cancelled` when the signal fires (the thread is ended first)
 */
export async function digestOfFile(
  fd: number,
  lengthBytes: number,
  algorithm: string,
  signal?: AbortSignal,
): Promise<string> {
  if (!isKnownAlgorithm(algorithm)) throw new DfError('invalid-argument', `unknown digest algorithm "${algorithm}"`);
  if (lengthBytes <= INLINE_LIMIT_BYTES) return digestInline(fd, lengthBytes, algorithm);
  await takeTurn(signal);
  try {
    return await digestInWorker(fd, lengthBytes, algorithm, signal);
  } finally {
    running -= 1;
    queue.shift()?.();
  }
}

async function digestInline(fd: number, lengthBytes: number, algorithm: string): Promise<string> {
  const buffer = Buffer.allocUnsafe(lengthBytes);
  checkLength(await readFully(fd, buffer, 0), lengthBytes);
  return algorithm === 'crc32' ? String(crc32(buffer)) : createHash(algorithm).update(buffer).digest('hex');
}

async function digestInWorker(
  fd: number,
  lengthBytes: number,
  algorithm: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const worker = new Worker(WORKER_URL, { workerData: { fd, lengthBytes, algorithm } });
  try {
    const answer = await abortable<{ done: number; encoded: string }>(signal, (resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new DfError('internal', 'the digest thread ended without an answer')));
      return () => worker.removeAllListeners();
    });
    checkLength(answer.done, lengthBytes);
    return answer.encoded;
  } finally {
    // Only now may the descriptor be closed: the thread may still have been reading.
    await worker.terminate();
  }
}

async function takeTurn(signal: AbortSignal | undefined): Promise<void> {
  if (running >= MAX_WORKERS) {
    await abortable<void>(signal, (resolve) => {
      queue.push(resolve);
      return () => {
        const index = queue.indexOf(resolve);
        if (index >= 0) queue.splice(index, 1);
      };
    });
  }
  running += 1;
}

function checkLength(found: number, expected: number): void {
  if (found === expected) return;
  throw new DfError('data-loss', `the stored content has ${found} bytes instead of ${expected}`);
}
