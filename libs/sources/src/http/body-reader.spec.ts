import net from 'node:net';
import fc from 'fast-check';
import { RawOrigin } from '../../test/raw-origin.js';
import { readAll } from '../../test/bodies.js';
import { HttpBackend } from './http-backend.js';

/** Splits `bytes` at the given places (taken modulo the length). */
function split(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...cuts]
    .map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length))
    .filter((part) => part.length > 0);
}

function chunked(parts: readonly Uint8Array[], extension: string, trailer: string): Buffer {
  const chunks = parts
    .filter((part) => part.length > 0)
    .map((part) =>
      Buffer.concat([Buffer.from(`${part.length.toString(16)}${extension}\r\n`), part, Buffer.from('\r\n')]),
    );
  return Buffer.concat([...chunks, Buffer.from(`0\r\n${trailer}\r\n`)]);
}

/** Sends parts one after another, each in a turn of the event loop of its own. */
async function sendSlowly(socket: net.Socket, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    socket.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('bodies, whatever way the network cuts them', () => {
  let answer: (socket: net.Socket) => void = () => undefined;
  let origin: RawOrigin;
  let backend: HttpBackend;
  const { signal } = new AbortController();

  beforeAll(async () => {
    origin = await RawOrigin.start(({ socket }) => answer(socket));
    backend = new HttpBackend({ maxRetries: 0, idleTimeoutMs: 2000 });
  });
  afterAll(async () => {
    await backend.close();
    await origin.close();
  });

  it('come out byte for byte, counted, chunked or until the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        fc.constantFrom('counted', 'chunked', 'until close'),
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.integer({ min: 1, max: 400 }),
        fc.constantFrom('', ';name=value', '  '),
        fc.constantFrom('', 'x-trailer: y\r\n'),
        async (parts, framing, cuts, stepBytes, extension, trailer) => {
          const content = Buffer.concat(parts);
          const header = {
            counted: `Content-Length: ${content.length}\r\n`,
            chunked: 'Transfer-Encoding: chunked\r\n',
            'until close': 'Connection: close\r\n',
          }[framing];
          const body = framing === 'chunked' ? chunked(parts, extension, trailer) : content;
          answer = (socket) => {
            const sent = sendSlowly(
              socket,
              split(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${header}\r\n`), body]), cuts),
            );
            void sent.then(() => (framing === 'until close' ? socket.end() : undefined));
          };
          const received = await backend.read({ url: origin.url(), signal });
          await expect(readAll(received, stepBytes)).resolves.toEqual(content);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('are never taken for whole when they are cut short', async () => {
    const content = Buffer.alloc(1000, 7);
    const bodies = { counted: content, chunked: chunked([content.subarray(0, 600), content.subarray(600)], '', '') };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('counted' as const, 'chunked' as const), fc.nat(), async (framing, cut) => {
        const body = bodies[framing];
        const header = framing === 'counted' ? 'Content-Length: 1000' : 'Transfer-Encoding: chunked';
        answer = (socket) =>
          socket.end(
            Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n`), body.subarray(0, cut % body.length)]),
          );
        const received = await backend.read({ url: origin.url(), signal });
        await expect(readAll(received, 300)).rejects.toMatchObject({
          code: expect.stringMatching(/^(origin|unavailable)$/) as string,
        });
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['a chunk size that is no number', 'five\r\nhello\r\n0\r\n\r\n'],
    ['an empty chunk size', '\r\nhello\r\n0\r\n\r\n'],
    ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size beyond all bounds', 'fffffffffffffffff\r\nhello'],
    ['a chunk longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
    ['an endless chunk extension', `5;${'x'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
    ['an endless trailer', `5\r\nhello\r\n0\r\n${'a: b\r\n'.repeat(5000)}\r\n`],
  ])('are refused with %s', async (_, body) => {
    answer = (socket) => socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
    const received = await backend.read({ url: origin.url(), signal });
    await expect(readAll(received)).rejects.toMatchObject({ code: 'origin' });
  });

  it('break with the connection under random bytes after a good head, never otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        answer = (socket) =>
          socket.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), bytes]));
        const received = await backend.read({ url: origin.url(), signal });
        await expect(readAll(received)).rejects.toMatchObject({ name: 'DfError' });
      }),
      { numRuns: 150 },
    );
  });
});
