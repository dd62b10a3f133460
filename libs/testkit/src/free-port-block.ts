import { createServer } from 'node:net';

/** Below the range that Linux gives to outgoing connections (32768 and up), above the well-known ports. */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
const MAX_TRIES = 50;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/**
 * First of `count` neighbouring ports of 127.0.0.1 that were all free a moment ago. For programs that are configured with
 * several ports before they start.
 */
export async function freePortBlock(count: number): Promise<number> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
    const first = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT - count));
    const free = await Promise.all(Array.from({ length: count }, (_, offset) => isFree(first + offset)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} neighbouring ports between ${LOWEST_PORT} and ${HIGHEST_PORT} are free`);
}
