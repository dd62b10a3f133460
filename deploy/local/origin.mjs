/**
 * A throw-away origin that counts: serves one file, or one URL of another server, under a path that was never used before,
 * and knows how many body bytes it has sent. For run.sh's self-check and demo; tests have their own origin.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { basename } from 'node:path';

/** Read-ahead of a file stream: large enough that the disk is not what is measured. */
const READ_CHUNK_BYTES = 1024 * 1024;

/**
 * @typedef {object} Origin
 * @property {string} url where the content is; unique for this origin
 * @property {() => number} bodyBytesSent body bytes of all answers so far
 * @property {() => number} requestCount requests so far, HEAD included
 * @property {() => Promise<{ lengthBytes: number, sha256: string }>} content what the source holds (for a URL: what it has delivered)
 * @property {() => Promise<void>} close
 */

/**
 * @param {string} path file to serve; must not change meanwhile
 * @param {{ host?: string }} [options] address to listen on and to name in the URL; default 127.0.0.1
 * @returns {Promise<Origin>}
 */
export async function serveFile(path, options = {}) {
  const { size, mtime } = await stat(path);
  const identity = { etag: `"${randomBytes(8).toString('hex')}"`, 'last-modified': mtime.toUTCString() };
  return listen(options.host, basename(path), {
    content: async () => ({ lengthBytes: size, sha256: await sha256OfFile(path) }),
    async answer(request) {
      const range = request.headers.range === undefined ? undefined : parseRange(request.headers.range, size);
      if (range === 'unsatisfiable') return { status: 416, headers: { 'content-range': `bytes */${size}` } };
      const { start, end } = range ?? { start: 0, end: size - 1 };
      return {
        status: range ? 206 : 200,
        headers: {
          ...identity,
          'accept-ranges': 'bytes',
          'content-type': 'application/octet-stream',
          'content-length': String(end - start + 1),
          ...(range && { 'content-range': `bytes ${start}-${end}/${size}` }),
        },
        // A file of no bytes has no last byte to name.
        body: size === 0 ? Readable.from([]) : createReadStream(path, { start, end, highWaterMark: READ_CHUNK_BYTES }),
      };
    },
  });
}

/**
 * Passes requests on to another server. What it delivers is also written to `keepAt`, each part at its offset, so that the
 * peers' files can be compared with it without asking the server again.
 * @param {string} upstreamUrl http or https
 * @param {{ host?: string, keepAt: string }} options `keepAt` is made now and removed by close
 * @returns {Promise<Origin>}
 */
export async function serveUrl(upstreamUrl, { host, keepAt }) {
  const kept = await open(keepAt, 'w+');
  const origin = await listen(host, basename(new URL(upstreamUrl).pathname) || 'index', {
    async content() {
      const { size } = await kept.stat();
      return { lengthBytes: size, sha256: await sha256OfFile(keepAt) };
    },
    async answer(request) {
      // Asked for as it is: a body that is packed for the way and unpacked here would have another length than announced.
      const headers = { 'accept-encoding': 'identity', ...(request.headers.range && { range: request.headers.range }) };
      const response = await fetch(upstreamUrl, { method: request.method, headers });
      const isPacked = response.headers.has('content-encoding');
      const passedOn = ['content-type', 'content-range', 'accept-ranges', 'etag', 'last-modified'];
      if (!isPacked) passedOn.push('content-length');
      const answered = passedOn.flatMap((name) => {
        const value = response.headers.get(name);
        return value === null ? [] : [[name, value]];
      });
      const firstByte = Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? 0);
      return {
        status: response.status,
        headers: Object.fromEntries(answered),
        body: response.body && Readable.fromWeb(response.body).compose(writtenAt(kept, firstByte)),
      };
    },
  });
  return {
    ...origin,
    async close() {
      await origin.close();
      await kept.close();
      await rm(keepAt, { force: true });
    },
  };
}

/**
 * @typedef {{ status: number, headers: Record<string, string>, body?: Readable | null }} Answer
 * @typedef {{ answer: (request: import('node:http').IncomingMessage) => Promise<Answer>, content: Origin['content'] }} Source
 * @param {string | undefined} host
 * @param {string} name last part of the path
 * @param {Source} source
 * @returns {Promise<Origin>}
 */
async function listen(host = '127.0.0.1', name, source) {
  let sent = 0;
  let requests = 0;
  const path = `/${randomBytes(8).toString('hex')}/${encodeURIComponent(name)}`;
  const server = createServer(async (request, response) => {
    requests += 1;
    if (request.url !== path) return void response.writeHead(404).end();
    try {
      const { status, headers, body } = await source.answer(request);
      response.writeHead(status, headers);
      if (request.method === 'HEAD' || !body) {
        body?.destroy();
        return void response.end();
      }
      const count = new Transform({
        transform(chunk, _encoding, done) {
          sent += chunk.length;
          done(null, chunk);
        },
      });
      await pipeline(body, count, response);
    } catch (error) {
      // A client that went away is its own affair; a source that failed is told to the client.
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end(`${error}\n`);
    }
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}${path}`,
    bodyBytesSent: () => sent,
    requestCount: () => requests,
    content: source.content,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * One range of RFC 9110 §14.1.2: `bytes=a-b`, `bytes=a-`, `bytes=-n`.
 * @param {string} header
 * @param {number} size of the whole content in bytes
 * @returns {{ start: number, end: number } | 'unsatisfiable' | undefined} inclusive positions; undefined: not a range that is
 *   understood here, the whole content is the right answer
 */
function parseRange(header, size) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? [];
  if (first === undefined || (first === '' && last === '')) return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
}

/** @param {import('node:fs/promises').FileHandle} file @param {number} position of the first byte */
function writtenAt(file, position) {
  return new Transform({
    transform(chunk, _encoding, done) {
      const at = position;
      position += chunk.length;
      file.write(chunk, 0, chunk.length, at).then(() => done(null, chunk), done);
    },
  });
}

/** @param {string} path @returns {Promise<string>} in hex */
export async function sha256OfFile(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: READ_CHUNK_BYTES }), hash);
  return hash.digest('hex');
}
