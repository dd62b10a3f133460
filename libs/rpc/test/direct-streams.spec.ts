import { once } from 'node:events';
import { connect, constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { schedulerV2 } from '@dragonfly/proto';
import { status, type StatusObject } from '@grpc/grpc-js';
import { BidiCall, handleBidi, type StreamCall, unary, handleUnary } from '../src/index.js';
import { aHost, CapturedLog, CleanUp, startScheduler, STREAM_WAYS } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

type Announce = schedulerV2.AnnouncePeerRequest;
type Answer = schedulerV2.AnnouncePeerResponse;
type Stream = StreamCall<Announce, Answer>;

const ANNOUNCE_PEER = '/scheduler.v2.Scheduler/AnnouncePeer';
const MAX_BYTES = 100_000;

function message(peerId = 'p'): Announce {
  return { hostId: 'h', taskId: 't', peerId, request: { $case: 'downloadPeerStartedRequest', value: {} } };
}

function frameOf(bytes: Uint8Array, isCompressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = isCompressed ? 1 : 0;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

function messageFrame(peerId = 'p'): Buffer {
  return frameOf(schedulerV2.AnnouncePeerRequest.encode(message(peerId)).finish());
}

interface Outcome {
  readonly headers: IncomingHttpHeaders;
  readonly code: number;
  readonly text: string;
}

/** What each call has been answered with. */
const headersOf = new WeakMap<ClientHttp2Stream, IncomingHttpHeaders>();

describe.each(STREAM_WAYS)('a bidirectional method over %s', (_, servesStreamsDirectly) => {
  const start = (serve: (stream: Stream) => void) =>
    startScheduler(
      cleanUp,
      {
        announcePeer: handleBidi<Announce, Answer>(serve, new CapturedLog()),
        announceHost: handleUnary(async () => ({}), new CapturedLog()),
      },
      { servesStreamsDirectly, maxReceiveBytes: MAX_BYTES },
    );

  /** Opens a call below every library. */
  const open = (port: number, headers: Record<string, string> = {}): ClientHttp2Stream => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    cleanUp.add(() => session.destroy());
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: ANNOUNCE_PEER,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    stream.on('error', () => undefined);
    stream.on('response', (received) => {
      headersOf.set(stream, received);
    });
    return stream;
  };

  const outcomeOf = async (stream: ClientHttp2Stream): Promise<Outcome> => {
    let trailers: IncomingHttpHeaders = {};
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.resume();
    await once(stream, 'end');
    const headers = headersOf.get(stream) ?? {};
    const last = trailers['grpc-status'] === undefined ? headers : trailers;
    return { headers, code: Number(last['grpc-status']), text: String(last['grpc-message']) };
  };

  /** Keeps ids of peers and answers none; ends when the caller does. */
  const collect = (seen: string[]) => (stream: Stream) => {
    stream.onMessage(({ peerId }) => seen.push(peerId));
    stream.onEnd(() => stream.end());
  };

  it('reads messages that come byte by byte, and several that come at once', async () => {
    const seen: string[] = [];
    const { port, log } = await start(collect(seen));
    const stream = open(port);
    for (const byte of messageFrame('slow')) {
      stream.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const split = messageFrame('split');
    stream.write(Buffer.concat([messageFrame('a'), messageFrame('b'), split.subarray(0, 9)]));
    stream.end(split.subarray(9));
    expect(await outcomeOf(stream)).toMatchObject({
      code: 0,
      headers: { ':status': 200, 'content-type': 'application/grpc+proto', 'grpc-encoding': 'identity' },
    });
    expect(seen).toEqual(['slow', 'a', 'b', 'split']);
    expect(log.entries.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('refuses a message that is too large before it has come', async () => {
    const cancelled = Promise.withResolvers<void>();
    const { port } = await start((stream) => stream.onCancel(cancelled.resolve));
    const stream = open(port);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(MAX_BYTES + 1, 1);
    stream.write(head);
    expect(await outcomeOf(stream)).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    await cancelled.promise;
  });

  it('refuses bytes that are no message, and tells the handler', async () => {
    const cancelled = Promise.withResolvers<void>();
    const { port } = await start((stream) => stream.onCancel(cancelled.resolve));
    const stream = open(port);
    stream.write(frameOf(Buffer.from('0aff', 'hex')));
    expect(await outcomeOf(stream)).toMatchObject({ code: status.INTERNAL, text: 'Error%20deserializing%20request' });
    await cancelled.promise;
  });

  it('understands a caller that compresses', async () => {
    const seen: string[] = [];
    const { port } = await start(collect(seen));
    const stream = open(port, { 'grpc-encoding': 'gzip' });
    const bytes = schedulerV2.AnnouncePeerRequest.encode(message('zipped')).finish();
    stream.end(frameOf(gzipSync(bytes), true));
    expect(await outcomeOf(stream)).toMatchObject({ code: 0 });
    expect(seen).toEqual(['zipped']);
  });

  it('answers what is not gRPC with status 415', async () => {
    const { port } = await start(() => undefined);
    const stream = open(port, { 'content-type': 'text/plain' });
    expect((await outcomeOf(stream)).headers[':status']).toBe(415);
  });

  it('hands over nothing while paused, and everything in order and the end afterwards', async () => {
    const seen: string[] = [];
    const paused = Promise.withResolvers<Stream>();
    const { client } = await start((stream) => {
      stream.onMessage(({ peerId }) => {
        seen.push(peerId);
        if (seen.length !== 1) return;
        stream.pause();
        paused.resolve(stream);
      });
      stream.onEnd(() => {
        seen.push('end');
        stream.end();
      });
    });
    const call = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    for (const id of ['a', 'b', 'c']) await call.send(message(id));
    call.finish();
    const stream = await paused.promise;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen).toEqual(['a']);
    stream.resume();
    expect(await call.messages().next()).toMatchObject({ done: true });
    expect(seen).toEqual(['a', 'b', 'c', 'end']);
  });

  it('tells the end after the last message also to one that pauses at each of those that come with it', async () => {
    const seen: string[] = [];
    const { port } = await start((stream) => {
      stream.onMessage(({ peerId }) => {
        seen.push(peerId);
        stream.pause();
        // Some turns later, as a handler that is busy with others.
        setTimeout(() => stream.resume(), 10);
      });
      stream.onEnd(() => {
        seen.push('end');
        stream.end();
      });
    });
    const stream = open(port);
    stream.end(Buffer.concat(['a', 'b', 'c', 'd'].map((id) => messageFrame(id))));
    expect(await outcomeOf(stream)).toMatchObject({ code: 0 });
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'end']);
  });

  it('holds a fast server back and goes on when its caller reads', async () => {
    const total = 500;
    let sent = 0;
    const { client } = await start((stream) => {
      stream.onMessage(() => {
        const description = 'x'.repeat(16 * 1024);
        const sendAll = async (): Promise<void> => {
          for (; sent < total; sent += 1) {
            await stream.sendWhenWritable({ response: { $case: 'needBackToSourceResponse', value: { description } } });
          }
          stream.end();
        };
        void sendAll();
      });
    });
    const call = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    await call.send(message());
    const messages = call.messages();
    await messages.next();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(total / 2);
    let received = 1;
    for await (const _message of messages) received += 1;
    expect(received).toBe(total);
  });

  it('knows who calls and what it was told in headers', async () => {
    const known = Promise.withResolvers<{ peer: string; tag: unknown; own: unknown }>();
    const { port } = await start((stream) => {
      known.resolve({ peer: stream.peer, tag: stream.metadata.get('x-tag'), own: stream.metadata.get('te') });
      stream.onEnd(() => stream.end());
    });
    const stream = open(port, { 'x-tag': 'blue' });
    stream.end();
    const { peer, tag, own } = await known.promise;
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect([tag, own]).toEqual([['blue'], []]);
    await outcomeOf(stream);
  });

  it('carries status text and details that are not ASCII', async () => {
    const { client } = await start((stream) => stream.fail(status.NOT_FOUND, 'größer \ud800', Buffer.of(1, 2, 3)));
    const call = client.announcePeer();
    call.on('error', () => undefined);
    call.resume();
    const ended = await new Promise<StatusObject>((resolve) => call.once('status', resolve));
    expect(ended).toMatchObject({ code: status.NOT_FOUND, details: 'größer \ufffd' });
    expect(ended.metadata.get('grpc-status-details-bin')).toEqual([Buffer.of(1, 2, 3)]);
  });

  it('says nothing when it is ended, or speaks, after the caller has gone', async () => {
    const gone = Promise.withResolvers<Stream>();
    const { port } = await start((stream) => stream.onCancel(() => gone.resolve(stream)));
    const raw = open(port);
    await once(raw, 'response');
    raw.session?.destroy();
    const stream = await gone.promise;
    expect(stream.isOver).toBe(true);
    expect(stream.signal.aborted).toBe(true);
    expect(stream.send({})).toBe(true);
    stream.end();
    stream.fail(status.INTERNAL, 'too late');
    await stream.whenWritable();
  });

  it('ends running streams that a stop has waited for in vain, and lets others end by themselves', async () => {
    const seen: string[] = [];
    const { server, client } = await start((stream) => {
      stream.onMessage(({ peerId }) => {
        seen.push(peerId);
        stream.send({});
      });
      stream.onEnd(() => stream.end());
      stream.onCancel(() => seen.push('cut'));
    });
    const polite = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    await polite.send(message('polite'));
    const answers = polite.messages();
    await answers.next();
    const stubborn = BidiCall.open<Announce, Answer>(client.announcePeer.bind(client));
    await stubborn.send(message('stubborn'));
    const others = stubborn.messages();
    await others.next();

    const stopping = server.stop(300);
    polite.finish();
    expect(await answers.next()).toMatchObject({ done: true });
    await expect(others.next()).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|cancelled/) });
    await stopping;
    expect(seen).toEqual(['polite', 'stubborn', 'cut']);
  });

  it('leaves other methods of the server alone', async () => {
    const { client } = await start(() => undefined);
    await unary(client.announceHost.bind(client), { host: aHost() }, { deadlineMs: 5000 });
  });
});
