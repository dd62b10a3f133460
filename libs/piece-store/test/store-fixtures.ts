import { crc32 } from 'node:zlib';
import { Content } from '@dragonfly/testkit';
import { readFully } from '../src/file-io.js';
import type { PieceWriter } from '../src/piece-writer.js';
import type { StoredTask } from '../src/stored-task.js';
import type { StoreLog } from '../src/task-types.js';

/** Specs look at results, not at log lines. */
export const quietLog: StoreLog = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function ignore(): void {
  // nothing
}

/** Bytes that tell their task and position apart. */
export function contentOf(lengthBytes: number, seed = 1): Buffer {
  return new Content(lengthBytes, seed).slice();
}

export function beginPiece(task: StoredTask, number: number): PieceWriter {
  const writer = task.beginPiece(number);
  if (typeof writer === 'string') throw new Error(`piece ${number} is ${writer}`);
  return writer;
}

/** Writes and commits one piece. */
export async function storePiece(task: StoredTask, number: number, bytes: Uint8Array): Promise<void> {
  const writer = beginPiece(task, number);
  await writer.write(bytes, 0);
  await writer.commit({
    lengthBytes: bytes.byteLength,
    crc32: crc32(bytes),
    trafficType: 2,
    costMs: 7,
    parentId: 'parent-a',
  });
}

/** Writes the missing pieces of `content` and completes the task. */
export async function storeContent(task: StoredTask, content: Buffer): Promise<void> {
  for (const number of task.missingPieces()) {
    const start = number * task.pieceLengthBytes;
    await storePiece(task, number, content.subarray(start, start + task.pieceLengthBytes));
  }
  await task.complete();
}

export async function readPiece(task: StoredTask, number: number): Promise<Buffer> {
  const opened = await task.openForRead(number);
  try {
    const bytes = Buffer.alloc(opened.lengthBytes);
    const read = await readFully(opened.fd, bytes, opened.fileOffset);
    if (read !== opened.lengthBytes) throw new Error(`piece ${number} is short: ${read}`);
    return bytes;
  } finally {
    opened.release();
  }
}
