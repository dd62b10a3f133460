import { schedulerV2 } from '@dragonfly/proto';
import { handleBidi, handleUnary } from '../src/index.js';
import { CapturedLog, CleanUp, RawCall, startScheduler, STREAM_WAYS } from './harness.js';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());
const log = new CapturedLog();
const statTask = schedulerV2.StatTaskRequest.encode({ hostId: 'h', taskId: 't' }).finish();

/** Answers StatTask when told; streams end when the client half-closes. */
async function startSlowScheduler(servesStreamsDirectly = false) {
  const answer = Promise.withResolvers<void>();
  const fixture = await startScheduler(
    cleanUp,
    {
      announcePeer: handleBidi((stream) => stream.onEnd(() => stream.end()), log),
      statTask: handleUnary(async () => {
        await answer.promise;
        return {};
      }, log),
    },
    { servesStreamsDirectly },
  );
  cleanUp.add(() => answer.resolve());
  return { ...fixture, answer };
}

describe('the grpc-timeout header', () => {
  it.each(STREAM_WAYS)('does not end a stream over %s, but does end a unary call', async (_, isDirect) => {
    const { port } = await startSlowScheduler(isDirect);
    const stream = new RawCall(port, '/scheduler.v2.Scheduler/AnnouncePeer', { 'grpc-timeout': '300m' });
    await stream.opened();
    const call = new RawCall(port, '/scheduler.v2.Scheduler/StatTask', { 'grpc-timeout': '300m' });

    // The call was made after the stream: when it is cut, the time of the stream is over, too.
    expect(await call.send(statTask).halfClose().ended()).toBe(4);
    expect(await stream.halfClose().ended()).toBe(0);
  });

  it.each(['1000H', '99999999S'])('%s, beyond 2^31 ms, does not end a call at once', async (timeout) => {
    const { port, answer } = await startSlowScheduler();
    const long = new RawCall(port, '/scheduler.v2.Scheduler/StatTask', { 'grpc-timeout': timeout });
    long.send(statTask).halfClose();
    const short = new RawCall(port, '/scheduler.v2.Scheduler/StatTask', { 'grpc-timeout': '50m' });
    expect(await short.send(statTask).halfClose().ended()).toBe(4);

    answer.resolve();
    expect(await long.ended()).toBe(0);
  });

  it('sends response headers of a stream before any message', async () => {
    const { port } = await startSlowScheduler();
    const stream = new RawCall(port, '/scheduler.v2.Scheduler/AnnouncePeer', {});
    await stream.opened(); // would wait for ever otherwise
    expect(await stream.halfClose().ended()).toBe(0);
  });

  it('stays ignored while one of two servers with that stream lives', async () => {
    const { server, port } = await startSlowScheduler();
    const other = await startSlowScheduler();
    await server.stop(0);
    const stream = new RawCall(other.port, '/scheduler.v2.Scheduler/AnnouncePeer', { 'grpc-timeout': '100m' });
    const call = new RawCall(other.port, '/scheduler.v2.Scheduler/StatTask', { 'grpc-timeout': '150m' });
    expect(await call.send(statTask).halfClose().ended()).toBe(4);
    expect(await stream.halfClose().ended()).toBe(0);
    expect(port).not.toBe(other.port);
  });
});
