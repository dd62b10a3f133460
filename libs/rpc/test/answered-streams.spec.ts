import { schedulerV2 } from '@dragonfly/proto';
import { status } from '@grpc/grpc-js';
import { handleBidi } from '../src/index.js';
import { CapturedLog, CleanUp, RawCall, startScheduler, STREAM_WAYS } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

type Announce = schedulerV2.AnnouncePeerRequest;
type Answer = schedulerV2.AnnouncePeerResponse;

const ANNOUNCE_PEER = '/scheduler.v2.Scheduler/AnnouncePeer';
const message = schedulerV2.AnnouncePeerRequest.encode(
  schedulerV2.AnnouncePeerRequest.create({
    hostId: 'h',
    taskId: 't',
    peerId: 'p',
    request: { $case: 'downloadPeerStartedRequest', value: {} },
  }),
).finish();

describe.each(STREAM_WAYS)('over %s', (_, servesStreamsDirectly) => {
  // A Rust daemon keeps its half open and waits, after the last report, for the whole stream to be closed.
  it('closes both directions of a stream that it ends, behind the status', async () => {
    const log = new CapturedLog();
    const announcePeer = handleBidi<Announce, Answer>((stream) => {
      stream.onMessage(() => {
        for (let answer = 0; answer < 100; answer += 1) stream.send({});
        stream.end();
      });
    }, log);
    const { port } = await startScheduler(cleanUp, { announcePeer }, { servesStreamsDirectly });
    const calls = Array.from({ length: 20 }, () => new RawCall(port, ANNOUNCE_PEER, {}).send(message));
    expect(await Promise.all(calls.map(async (call) => call.closedByServer()))).toEqual(calls.map(() => status.OK));
  });

  it('closes both directions of a stream that it fails', async () => {
    const announcePeer = handleBidi<Announce, Answer>((stream) => {
      stream.onMessage(() => stream.fail(status.FAILED_PRECONDITION, 'no'));
    }, new CapturedLog());
    const { port } = await startScheduler(cleanUp, { announcePeer }, { servesStreamsDirectly });
    const call = new RawCall(port, ANNOUNCE_PEER, {}).send(message);
    expect(await call.closedByServer()).toBe(status.FAILED_PRECONDITION);
  });
});

it('closes both directions of a call that it does not know', async () => {
  const { port } = await startScheduler(cleanUp, {});
  expect(await new RawCall(port, '/scheduler.v2.Scheduler/Nothing', {}).closedByServer()).toBe(status.UNIMPLEMENTED);
});
