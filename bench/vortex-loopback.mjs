#!/usr/bin/env node
/**
 * Piece transfer between two processes over loopback: a server process, and this one as the client, which throws the
 * bytes away (or writes them to a file with --write).
 *
 *     node bench/vortex-loopback.mjs [--mib 1024] [--piece-mib 4] [--connections 4] [--rounds 3] [--write]
 *
 * In each round the same bytes also travel as Node does it by itself, without a protocol or a checksum: a file stream
 * piped into a socket, and 'data' events at the other end. The ratio of the two, taken in one round, is the figure that
 * does not depend on the machine. CPU is of whole processes. The server's file is in the page cache. Needs the packages to
 * be built. Bounded: (rounds + 1) × 2 × mib of traffic, then it ends.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, write, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
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
  // The reference: the file again and again, until the client has enough.
  const plain = createServer((socket) => {
    socket.on('error', () => undefined);
    const send = () => {
      const file = createReadStream(join(directory, 'content'), { highWaterMark: 512 * 1024 });
      file.on('end', () => (socket.destroyed ? undefined : send()));
      file.pipe(socket, { end: false });
      socket.once('close', () => file.destroy());
    };
    send();
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  let last = process.cpuUsage();
  process.on('message', (message) => {
    if (message === 'cpu') {
      const now = process.cpuUsage();
      process.send({ cpu: (now.user + now.system - last.user - last.system) / 1e6, rss: process.memoryUsage.rss() });
      last = now;
    } else {
      process.disconnect();
      plain.close();
      void server.close().then(() => {
        closeSync(fd);
        rmSync(directory, { recursive: true });
      });
    }
  });
  process.send({ port: server.port, plainPort: plain.address().port });
}

async function measure() {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', ...process.argv.slice(2)]);
  const ask = (message) => {
    const answer = new Promise((resolve) => child.once('message', resolve));
    if (message !== undefined) child.send(message);
    return answer;
  };
  const { port, plainPort } = await ask();
  const directory = mkdtempSync(join(tmpdir(), 'vortex-bench-'));
  const fd = values.write ? openSync(join(directory, 'received'), 'w+') : undefined;
  const client = new VortexClient();
  const gib = (pieceCount * pieceBytes) / (1024 * MIB);
  console.log(
    `crc32 by ${crc32Implementation}, ${pieceCount} pieces of ${pieceBytes / MIB} MiB, ${values.connections} at once`,
  );
  for (let round = 0; round <= Number(values.rounds); round++) {
    const vortex = await timed(ask, () => fetchAll(client, port, fd));
    const reference = await timed(ask, () => readPlain(plainPort));
    // The first round warms up compiler and page cache.
    if (round === 0) continue;
    const perGib = (seconds) => (seconds / gib).toFixed(3);
    console.log(
      JSON.stringify({
        'GiB/s': (gib / vortex.wall).toFixed(2),
        'server CPU s/GiB': perGib(vortex.server),
        'client CPU s/GiB': perGib(vortex.client),
        'reference GiB/s': (gib / reference.wall).toFixed(2),
        'reference server': perGib(reference.server),
        'reference client': perGib(reference.client),
        'CPU ÷ reference': ((vortex.server + vortex.client) / (reference.server + reference.client)).toFixed(2),
        'server RSS MiB': Math.round(vortex.serverRss / MIB),
        'client RSS MiB': Math.round(vortex.clientRss / MIB),
      }),
    );
  }
  console.log(JSON.stringify(client.stats));
  await client.close();
  if (fd !== undefined) closeSync(fd);
  rmSync(directory, { recursive: true });
  child.send('stop');
}

/** CPU seconds of both processes and wall seconds while `work` runs. */
async function timed(ask, work) {
  await ask('cpu');
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const wall = (performance.now() - startedAt) / 1000;
  const used = process.cpuUsage(cpu);
  const server = await ask('cpu');
  return {
    wall,
    client: (used.user + used.system) / 1e6,
    server: server.cpu,
    clientRss: process.memoryUsage.rss(),
    serverRss: server.rss,
  };
}

async function fetchAll(client, port, fd) {
  let next = 0;
  const worker = async () => {
    while (next < pieceCount) {
      const pieceNumber = next++;
      const base = (pieceNumber % FILE_PIECES) * pieceBytes;
      await client.fetchPiece({
        host: '127.0.0.1',
        port,
        kind: 'standard',
        taskId: TASK_ID,
        pieceNumber,
        expectedLengthBytes: pieceBytes,
        sink: { write: (chunk, at) => (fd === undefined ? Promise.resolve() : writeAt(fd, chunk, base + at)) },
      });
    }
  };
  await Promise.all(Array.from({ length: Number(values.connections) }, worker));
}

function writeAt(fd, chunk, position) {
  return new Promise((resolve, reject) => {
    write(fd, chunk, 0, chunk.length, position, (error) => (error ? reject(error) : resolve()));
  });
}

async function readPlain(port) {
  const connections = Number(values.connections);
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1');
      let missing = (pieceCount * pieceBytes) / connections;
      socket.on('data', (chunk) => {
        missing -= chunk.length;
        if (missing <= 0) socket.destroy();
      });
      await once(socket, 'close');
    }),
  );
}
