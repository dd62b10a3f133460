import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { crc32 } from 'node:zlib';

// Runs in a worker thread and imports nothing of ours, so that it starts quickly. The descriptor belongs to the main
// thread, which keeps it open until this thread is done or terminated.
const { fd, lengthBytes, algorithm } = workerData as { fd: number; lengthBytes: number; algorithm: string };
const buffer = Buffer.allocUnsafe(1 << 20);
const hash = algorithm === 'crc32' ? undefined : createHash(algorithm);
let crc = 0;
let done = 0;
while (done < lengthBytes) {
  const read = readSync(fd, buffer, 0, Math.min(buffer.length, lengthBytes - done), done);
  if (read === 0) break;
  const part = buffer.subarray(0, read);
  if (hash === undefined) crc = crc32(part, crc);
  else hash.update(part);
  done += read;
}
parentPort?.postMessage({ done, encoded: hash === undefined ? String(crc) : hash.digest('hex') });
