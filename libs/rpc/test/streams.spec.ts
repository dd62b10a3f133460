import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { DfError } from '@dragonfly/errors';
import { dfdaemonV2, schedulerV2 } from '@dragonfly/proto';
import {
  BidiCall,
  createGrpcClient,
  GrpcServer,
  handleBidi,
  handleServerStream,
  handleUnary,
  readStream,
  type ServerStream,
  unary,
} from '../src/index.js';
import { CapturedLog, CleanUp, startScheduler, STREAM_WAYS } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

type SyncRequest = dfdaemonV2.SyncPiecesRequest;
type SyncResponse = dfdaemonV2.SyncPiecesResponse;
type SyncStream = ServerStream<SyncResponse>;
type Announce = schedulerV2.AnnouncePeerRequest;
type Answer = schedulerV2.AnnouncePeerResponse;

const started = {
  hostId: 'h',
  taskId: 't',
  peerId: 'p',
  request: { $case: 'downloadPeerStartedRequest', value: {} },
} as const;
const syncRequest = dfdaemonV2.SyncPiecesRequest.create({ hostId: 'h', taskId: 't', interestedPieceNumbers: [1] });

async function startUpload(syncPieces: (request: SyncRequest, stream: SyncStream) => Promise<void>) {
  const log = new CapturedLog();
  const server = await GrpcServer.start({
    services: [
      {
        service: dfdaemonV2.DfdaemonUploadService,
        implementation: { syncPieces: handleServerStream<SyncRequest, SyncResponse>(syncPieces, log) },
      },
    ],
    addresses: ['127.0.0.1:0'],
    log,
  });
  cleanUp.add(() => server.stop(0));
  const client = createGrpcClient(dfdaemonV2.DfdaemonUploadClient, `127.0.0.1:${server.ports[0]}`);
  cleanUp.add(() => client.close());
  return { client, log };
}

describe('readStream', () => {
  it('yields all messages and ends with the call', async () => {
    const { client } = await startUpload(async (_request, stream) => {
      for (let number = 0; number < 3; number++) await stream.sendWhenWritable({ number, length: 2n ** 64n - 1n });
    });
    const numbers: number[] = [];
    for await (const piece of readStream(client.syncPieces(syncRequest))) {
      expect(piece.length).toBe(18_446_744_073_709_551_615n);
      numbers.push(piece.number);
    }
    expect(numbers).toEqual([0, 1, 2]);
  });

  it('holds a fast server back while the consumer is busy', async () => {
    const total = 2000;
    let sent = 0;
    const { client } = await startUpload(async (_request, stream) => {
      const ip = 'x'.repeat(16 * 1024);
      for (; sent < total; sent++) await stream.sendWhenWritable({ number: sent, ip });
    });
    const messages = readStream(client.syncPieces(syncRequest));
    await messages.next();
    // The server stops by itself: wait until its count stands still over several turns of its event loop.
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(total / 2);

    let received = 1;
    for await (const _message of messages) received++;
    expect(received).toBe(total);
  });

  it('cancels the call when its consumer leaves', async () => {
    const gone = Promise.withResolvers<void>();
    const { client } = await startUpload(async (_request, stream) => {
      stream.send({ number: 7 });
      await once(stream.signal, 'abort');
      gone.resolve();
    });
    for await (const piece of readStream(client.syncPieces(syncRequest))) {
      expect(piece.number).toBe(7);
      break;
    }
    await gone.promise;
  });

  it('fails with the status of the server after the messages before it', async () => {
    const { client, log } = await startUpload(async (_request, stream) => {
      stream.send({ number: 1 });
      throw new DfError('not-found', 'task t is gone');
    });
    const messages = readStream(client.syncPieces(syncRequest));
    expect((await messages.next()).value?.number).toBe(1);
    await expect(messages.next()).rejects.toMatchObject({
      code: 'not-found',
      message: 'task t is gone',
      details: { status: 5 },
    });
    expect(log.entries).toEqual([]);
  });

  it('does not take a failure before the first read for an end', async () => {
    const { client } = await startUpload(async () => Promise.reject(new DfError('permission-denied', 'blocked')));
    const call = client.syncPieces(syncRequest);
    const messages = readStream(call);
    await new Promise((resolve) => call.once('status', resolve));
    await expect(messages.next()).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('gives up when the server is silent for the idle time', async () => {
    const gone = Promise.withResolvers<void>();
    const { client } = await startUpload(async (_request, stream) => {
      stream.send({ number: 1 });
      await once(stream.signal, 'abort');
      gone.resolve();
    });
    const messages = readStream(client.syncPieces(syncRequest), { idleTimeoutMs: 1000 });
    await messages.next();
    await expect(messages.next()).rejects.toMatchObject({
      code: 'deadline-exceeded',
      message: 'no message from the server for 1000 ms',
    });
    await gone.promise;
  });

  it('obeys its signal before, during and after the wait', async () => {
    const { client } = await startUpload(async (_request, stream) => {
      await once(stream.signal, 'abort');
    });
    const controller = new AbortController();
    const pending = readStream(client.syncPieces(syncRequest), { signal: controller.signal }).next();
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'cancelled' });
    const late = readStream(client.syncPieces(syncRequest), { signal: controller.signal });
    await expect(late.next()).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('handlers', () => {
  const request = { hostId: 'h', taskId: 't' };

  it('turn a foreseen error into its status without a log line', async () => {
    const log = new CapturedLog();
    const { client } = await startScheduler(cleanUp, {
      statTask: handleUnary(
        async () => Promise.reject(new DfError('failed-precondition', 'größer als nötig \ud800')),
        log,
      ),
    });
    await expect(unary(client.statTask.bind(client), request, { deadlineMs: 5000 })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'größer als nötig \ufffd',
    });
    expect(log.entries).toEqual([]);
  });

  it('hide an unforeseen error from the caller and log it', async () => {
    const log = new CapturedLog();
    const { client } = await startScheduler(cleanUp, {
      statTask: handleUnary(() => {
        throw new TypeError('secret path');
      }, log),
    });
    await expect(unary(client.statTask.bind(client), request, { deadlineMs: 5000 })).rejects.toMatchObject({
      code: 'internal',
      message: 'internal error',
    });
    expect(log.entries).toMatchObject([
      { level: 'error', fields: { method: '/scheduler.v2.Scheduler/StatTask', err: { message: 'secret path' } } },
    ]);
  });

  it('carry what an origin answered to the caller', async () => {
    const details = { statusCode: 404, headers: { server: 'nginx' }, message: 'Not Found' };
    const { client } = await startUpload(async () =>
      Promise.reject(new DfError('origin', 'origin failed', { details })),
    );
    await expect(readStream(client.syncPieces(syncRequest)).next()).rejects.toMatchObject({
      code: 'origin',
      message: 'origin failed',
      details: { status: 13, ...details },
    });
  });

  it('hear of a caller that is gone, or whose time is up', async () => {
    const log = new CapturedLog();
    const arrived = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const { client } = await startScheduler(cleanUp, {
      statTask: handleUnary(async (_request, { signal, peer }) => {
        expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
        const abort = once(signal, 'abort');
        arrived.resolve();
        await abort;
        aborted.resolve();
        return {};
      }, log),
    });
    const controller = new AbortController();
    const call = unary(client.statTask.bind(client), request, { deadlineMs: 5000, signal: controller.signal });
    await arrived.promise;
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await aborted.promise;

    const timedOut = unary(client.statTask.bind(client), request, { deadlineMs: 100 });
    await expect(timedOut).rejects.toMatchObject({ code: 'deadline-exceeded', details: { status: 4 } });
    const never = unary(client.statTask.bind(client), request, { deadlineMs: 5000, signal: AbortSignal.abort() });
    await expect(never).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe.each(STREAM_WAYS)('bidirectional calls over %s', (_, servesStreamsDirectly) => {
  it('send and receive independently, and end when the server says so', async () => {
    const { client, log } = await startScheduler(
      cleanUp,
      {
        announcePeer: handleBidi<Announce, Answer>((stream) => {
          let count = 0;
          stream.onMessage(({ peerId }) => {
            stream.send({
              response: { $case: 'needBackToSourceResponse', value: { description: `${peerId} ${++count}` } },
            });
            if (count === 2) stream.end();
          });
        }, new CapturedLog()),
      },
      { servesStreamsDirectly },
    );
    const call = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    await call.send(started);
    await call.send(started);
    const answers: unknown[] = [];
    for await (const { response } of call.messages()) {
      answers.push(response?.$case === 'needBackToSourceResponse' && response.value.description);
    }
    expect(answers).toEqual(['p 1', 'p 2']);
    await expect(call.send(started)).rejects.toMatchObject({ code: 'unavailable' });
    expect(log.entries).toEqual([]);
  });

  it('tell a half-close from a reset', async () => {
    const events: string[] = [];
    let over = Promise.withResolvers<void>();
    const { client, port } = await startScheduler(
      cleanUp,
      {
        announcePeer: handleBidi<Announce, Answer>((stream) => {
          stream.onEnd(() => {
            events.push('end');
            stream.end();
            over.resolve();
          });
          stream.onCancel(() => {
            events.push('cancel');
            over.resolve();
          });
        }, new CapturedLog()),
      },
      { servesStreamsDirectly },
    );
    const call = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    call.finish();
    expect(await call.messages().next()).toEqual({ done: true, value: undefined });
    await over.promise;

    over = Promise.withResolvers<void>();
    await resetStream(port, '/scheduler.v2.Scheduler/AnnouncePeer');
    await over.promise;

    over = Promise.withResolvers<void>();
    const lost = connectRaw(port, '/scheduler.v2.Scheduler/AnnouncePeer');
    await once(lost, 'data');
    lost.destroy();
    await over.promise;
    expect(events).toEqual(['end', 'cancel', 'cancel']);
  });

  it('end with the error that the handler throws', async () => {
    const log = new CapturedLog();
    const { client } = await startScheduler(
      cleanUp,
      {
        announcePeer: handleBidi(() => {
          throw new DfError('not-found', 'no such peer');
        }, log),
      },
      { servesStreamsDirectly },
    );
    const call = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    await expect(call.messages().next()).rejects.toMatchObject({ code: 'not-found', message: 'no such peer' });
  });
});

describe.each(STREAM_WAYS)('streams over %s that are reset as they are opened', (_, servesStreamsDirectly) => {
  it('do no harm', async () => {
    const { client, port } = await startScheduler(
      cleanUp,
      {
        announcePeer: handleBidi<Announce, Answer>((stream) => {
          stream.onMessage(() => stream.send({}));
          stream.onEnd(() => stream.end());
        }, new CapturedLog()),
      },
      { servesStreamsDirectly },
    );
    const socket = connectRaw(port, '/scheduler.v2.Scheduler/AnnouncePeer');
    await once(socket, 'data');
    const code = Buffer.alloc(4);
    code.writeUInt32BE(CANCEL);
    const opened = Array.from({ length: 50 }, (_unused, index) => 2 * index + 3).flatMap((streamId) => [
      frame(
        FRAME.headers,
        FLAG.endHeaders,
        streamId,
        headerBlock(requestHeaders('/scheduler.v2.Scheduler/AnnouncePeer')),
      ),
      frame(FRAME.reset, 0, streamId, code),
    ]);
    socket.write(Buffer.concat(opened));
    const call = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    await call.send(started);
    call.finish();
    const messages = call.messages();
    expect((await messages.next()).done).toBe(false);
    expect((await messages.next()).done).toBe(true);
  });
});

const FLAG = { endHeaders: 0x4, ack: 0x1 };
const FRAME = { headers: 1, reset: 3, settings: 4 };
const CANCEL = 8;

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK: literal header fields without indexing, not Huffman coded. */
function headerBlock(headers: Record<string, string>): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function requestHeaders(method: string): Record<string, string> {
  return {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': method,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
}

/** Opens a stream byte by byte: the HTTP/2 client of Node half-closes a stream before it resets it. */
function connectRaw(port: number, method: string) {
  const socket = connectSocket(port, '127.0.0.1');
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(FRAME.settings, 0, 0, Buffer.alloc(0)));
  socket.write(frame(FRAME.headers, FLAG.endHeaders, 1, headerBlock(requestHeaders(method))));
  cleanUp.add(() => socket.destroy());
  return socket;
}

/** Opens a stream, waits until the handler has answered with headers, and resets it. */
async function resetStream(port: number, method: string): Promise<void> {
  const socket = connectRaw(port, method);
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (hasResponseHeaders(received)) break;
    socket.write(frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)));
  }
  const code = Buffer.alloc(4);
  code.writeUInt32BE(CANCEL);
  socket.write(frame(FRAME.reset, 0, 1, code));
}

function hasResponseHeaders(bytes: Buffer): boolean {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes.readUInt8(at + 3) === FRAME.headers && bytes.readUInt32BE(at + 5) === 1) return true;
  }
  return false;
}
