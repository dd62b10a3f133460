#!/usr/bin/env node
/**
 * Piece transfer between two processes over loopback: a server process, and this one as the client, which throws the
 * bytes away (or writes them to a file with --write).
 *
 *     node bench/vortex-loopback.mjs [--mib 1024] [--piece-mib 4] [--connections 4] [--rounds 3] [--write]
 *
 * Prints CPU seconds a GiB of each side, the figure that does not depend on what else the machine does. The server's
 * file is in the page cache. Needs the packages to be built. Bounded: rounds × mib of traffic, then it ends.
 */
import { fork } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, write, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crc32, crc32Implementation, VortexClient, VortexServer } from '../libs/vortex/dist/index.js';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    'piece-mib': { type: 'string', default: '4' },
    connections: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
    serve: { type: 'boolean', default: false },
  },
});
const MIB = 1024 * 1024;
const TASK_ID = 'ab'.repeat(32);
const pieceBytes = Number(values['piece-mib']) * MIB;
const pieceCount = Math.floor((Number(values.mib) * MIB) / pieceBytes);
/** The served file; pieces repeat it, so that it fits into the page cache of a small machine. */
const FILE_PIECES = Math.max(1, Math.floor((256 * MIB) / pieceBytes));

if (values.serve) await serve();
else await measure();

async function serve() {
  const directory = mkdtempSync(join(tmpdir(), 'vortex-bench-'));
  const fd = openSync(join(directory, 'content'), 'w+');
  const content = Buffer.alloc(pieceBytes);
  const digests = [];
  for (let piece = 0; piece < FILE_PIECES; piece++) {
    for (let at = 0; at < pieceBytes; at += 4) content.writeUInt32LE((at * 2654435761 + piece) >>> 0, at);
    writeSync(fd, content, 0, pieceBytes, piece * pieceBytes);
    digests.push(`crc32:${crc32(content)}`);
  }
  const server = await VortexServer.start({
    host: '127.0.0.1',
    port: 0,
    log: { debug: () => {}, warn: (facts, message) => console.error(message, facts) },
    source: {
      open: (kind, taskId, number) => {
        const inFile = number % FILE_PIECES;
        return Promise.resolve({
          piece: {
            number,
            offsetBytes: number * pieceBytes,
            lengthBytes: pieceBytes,
            digest: digests[inFile],
            parentId: '',
            trafficType: 0,
            costMs: 0,
            createdAtMs: Date.now(),
          },
          fd,
          fileOffset: inFile * pieceBytes,
          release: () => {},
        });
      },
    },
  });
  let last = process.cpuUsage();
  process.on('message', (message) => {
    if (message === 'cpu') {
      const now = process.cpuUsage();
      process.send({ cpu: (now.user + now.system - last.user - last.system) / 1e6, rss: process.memoryUsage.rss() });
      last = now;
    } else {
      process.disconnect();
      void server.close().then(() => {
        closeSync(fd);
        rmSync(directory, { recursive: true });
      });
    }
  });
  process.send({ port: server.port });
}

async function measure() {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', ...process.argv.slice(2)]);
  const ask = (message) => {
    const answer = new Promise((resolve) => child.once('message', resolve));
    if (message !== undefined) child.send(message);
    return answer;
  };
  const { port } = await ask();
  const directory = mkdtempSync(join(tmpdir(), 'vortex-bench-'));
  const fd = values.write ? openSync(join(directory, 'received'), 'w+') : undefined;
  const client = new VortexClient();
  const gib = (pieceCount * pieceBytes) / (1024 * MIB);
  console.log(
    `crc32 by ${crc32Implementation}, ${pieceCount} pieces of ${pieceBytes / MIB} MiB, ${values.connections} at once`,
  );
  for (let round = 0; round <= Number(values.rounds); round++) {
    await ask('cpu');
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    let next = 0;
    const worker = async () => {
      while (next < pieceCount) {
        const pieceNumber = next++;
        const base = (pieceNumber % FILE_PIECES) * pieceBytes;
        const sink = {
          write: (chunk, at) =>
            fd === undefined
              ? Promise.resolve()
              : new Promise((resolve, reject) => {
                  write(fd, chunk, 0, chunk.length, base + at, (error) => (error ? reject(error) : resolve()));
                }),
        };
        await client.fetchPiece({
          host: '127.0.0.1',
          port,
          kind: 'standard',
          taskId: TASK_ID,
          pieceNumber,
          expectedLengthBytes: pieceBytes,
          sink,
        });
      }
    };
    await Promise.all(Array.from({ length: Number(values.connections) }, worker));
    const seconds = (performance.now() - startedAt) / 1000;
    const used = process.cpuUsage(cpu);
    const server = await ask('cpu');
    // The first round warms up compiler and page cache.
    if (round === 0) continue;
    const row = {
      'wall s': seconds.toFixed(2),
      'GiB/s': (gib / seconds).toFixed(2),
      'server CPU s/GiB': (server.cpu / gib).toFixed(3),
      'client CPU s/GiB': ((used.user + used.system) / 1e6 / gib).toFixed(3),
      'server RSS MiB': Math.round(server.rss / MIB),
      'client RSS MiB': Math.round(process.memoryUsage.rss() / MIB),
    };
    console.log(JSON.stringify(row));
  }
  console.log(JSON.stringify(client.stats));
  await client.close();
  if (fd !== undefined) closeSync(fd);
  rmSync(directory, { recursive: true });
  child.send('stop');
}
