import { AsyncLocalStorage } from 'node:async_hooks';
import { schedulerV2 } from '@dragonfly/proto';
import {
  type OpenSpan,
  setSpanSource,
  type SpanAttributes,
  type SpanStart,
  type TraceCarrier,
  traceCarrier,
  withSpan,
} from '@dragonfly/telemetry/spans';
import { BidiCall, handleBidi, handleUnary, unary } from '../src/index.js';
import { CapturedLog, CleanUp, startScheduler } from './harness.js';

/** Spans of a test, each with what became of it. */
class RecordedSpan implements OpenSpan {
  attributes: SpanAttributes;
  failure: string | undefined = undefined;
  hasEnded = false;
  readonly parent: string | undefined;

  constructor(
    readonly name: string,
    readonly kind: SpanStart['kind'],
    start: SpanStart,
    private readonly id: string,
    active: AsyncLocalStorage<RecordedSpan>,
  ) {
    this.attributes = { ...start.attributes };
    this.parent = start.parent === undefined ? active.getStore()?.id : start.parent['traceparent'];
    this.run = (work) => active.run(this, work);
  }

  readonly run: <T>(work: () => T) => T;

  set(attributes: SpanAttributes): void {
    this.attributes = { ...this.attributes, ...attributes };
  }

  fail(reason: string): void {
    this.failure = reason;
  }

  carrier(): TraceCarrier {
    return { traceparent: this.id };
  }

  end(): void {
    this.hasEnded = true;
  }
}

const cleanUp = new CleanUp();
const active = new AsyncLocalStorage<RecordedSpan>();
let spans: RecordedSpan[] = [];

beforeEach(() => {
  spans = [];
  setSpanSource({
    open: (name, start) => {
      const span = new RecordedSpan(name, start.kind, start, `${start.kind}-${spans.length}`, active);
      spans.push(span);
      return span;
    },
    carrier: () => active.getStore()?.carrier(),
    annotate: (attributes) => active.getStore()?.set(attributes),
    within: (_carrier, work) => work(),
  });
});

afterEach(async () => {
  await cleanUp.run();
  setSpanSource(undefined);
});

const log = new CapturedLog();
const STAT = 'scheduler.v2.Scheduler/StatTask';
const request = { hostId: 'h', taskId: 't' };
const soon = { deadlineMs: 5000 };

async function endOf(span: RecordedSpan | undefined): Promise<RecordedSpan> {
  // A server's span ends after the status has been handed over, which is the turn in which its client may see it.
  while (span !== undefined && !span.hasEnded) await new Promise((resolve) => setImmediate(resolve));
  if (span === undefined) throw new Error('there is no such span');
  return span;
}

describe('spans of gRPC calls', () => {
  it('go from the caller into the handler of a unary call, and tell how it ended', async () => {
    let seen: TraceCarrier | undefined;
    const statTask = handleUnary<schedulerV2.StatTaskRequest, object>(async () => {
      await Promise.resolve();
      seen = traceCarrier();
      return {};
    }, log);
    const { client, port } = await startScheduler(cleanUp, { statTask });
    await withSpan('caller', { kind: 'consumer' }, () => unary(client.statTask.bind(client), request, soon));
    const [caller, ours, theirs] = spans;
    expect(await endOf(ours)).toMatchObject({
      name: STAT,
      kind: 'client',
      parent: caller?.carrier()['traceparent'],
      failure: undefined,
      attributes: {
        'rpc.system': 'grpc',
        'rpc.service': 'scheduler.v2.Scheduler',
        'rpc.method': 'StatTask',
        'rpc.grpc.status_code': 0,
        'server.address': `127.0.0.1:${port}`,
      },
    });
    expect(await endOf(theirs)).toMatchObject({ name: STAT, kind: 'server', parent: ours?.carrier()['traceparent'] });
    expect(seen).toEqual(theirs?.carrier());
  });

  it('say that a call failed, also one that was refused before any handler', async () => {
    const statTask = handleUnary(() => Promise.reject(new Error('not ours to tell')), log);
    const { client } = await startScheduler(cleanUp, { statTask }, { requestRateLimit: 1 });
    await expect(unary(client.statTask.bind(client), request, soon)).rejects.toThrow();
    await expect(unary(client.statTask.bind(client), request, soon)).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    const [, failed, , refused] = spans;
    expect(await endOf(failed)).toMatchObject({ kind: 'server', attributes: { 'rpc.grpc.status_code': 13 } });
    expect((await endOf(refused)).failure).toBe('too many requests');
    expect(refused?.attributes['rpc.grpc.status_code']).toBe(8);
  });

  it('are around a stream as long as it lasts, and its messages are handled inside', async () => {
    const carriers: (TraceCarrier | undefined)[] = [];
    const announcePeer = handleBidi<schedulerV2.AnnouncePeerRequest, object>((stream) => {
      stream.onMessage(() => carriers.push(traceCarrier()));
      stream.onEnd(() => stream.end());
    }, log);
    const { client } = await startScheduler(cleanUp, { announcePeer });
    const call = BidiCall.open(client.announcePeer.bind(client));
    const message = {
      hostId: 'h',
      taskId: 't',
      peerId: 'p',
      request: { $case: 'downloadPeerStartedRequest' as const, value: {} },
    };
    await call.send(message);
    await call.send(message);
    expect(spans.every(({ hasEnded }) => !hasEnded)).toBe(true);
    call.finish();
    for await (const _answer of call.messages()) throw new Error('nothing was to be said');
    const [ours, theirs] = spans;
    expect((await endOf(ours)).failure).toBeUndefined();
    await endOf(theirs);
    expect(carriers).toEqual([theirs?.carrier(), theirs?.carrier()]);
  });
});
