import { EventEmitter } from 'node:events';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { schedulerV2 } from '@dragonfly/proto';
import { waitFor } from '@dragonfly/testkit';
import { AnnouncePeerConversation, type PeerReport } from './conversation.js';

/** The stream as the conversation uses it. */
class FakeCall extends EventEmitter {
  readonly written: schedulerV2.AnnouncePeerRequest[] = [];
  writableLength = 0;
  isHalfClosed = false;
  isCancelled = false;

  write(message: schedulerV2.AnnouncePeerRequest): boolean {
    this.written.push(message);
    return true;
  }

  end(): void {
    this.isHalfClosed = true;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  answer(response: schedulerV2.AnnouncePeerResponse['response']): void {
    this.emit('data', { response });
  }

  close(code = 0, details = ''): void {
    this.emit('status', { code, details });
  }
}

const IDS = { hostId: 'h', taskId: 't', peerId: 'p' };
const REGISTER: PeerReport = { $case: 'registerPeerRequest', value: { download: undefined } };
const STARTED: PeerReport = { $case: 'downloadPeerStartedRequest', value: {} };
const FINISHED: PeerReport = { $case: 'downloadPeerFinishedRequest', value: {} };
const TO_SOURCE = { $case: 'needBackToSourceResponse', value: {} } as const;
const NEVER = new AbortController().signal;

function aConversation(isAlive: () => Promise<boolean> = async () => true): {
  call: FakeCall;
  conversation: AnnouncePeerConversation;
} {
  const call = new FakeCall();
  const stream = call as unknown as ClientDuplexStream<
    schedulerV2.AnnouncePeerRequest,
    schedulerV2.AnnouncePeerResponse
  >;
  return { call, conversation: new AnnouncePeerConversation(stream, IDS, isAlive) };
}

describe('AnnouncePeerConversation', () => {
  it('writes its ids into every message and returns the answer to the question', async () => {
    const { call, conversation } = aConversation();
    const answer = conversation.ask(REGISTER, 1000, NEVER);
    call.answer(TO_SOURCE);
    expect(await answer).toEqual(TO_SOURCE);
    conversation.report(STARTED);
    expect(call.written).toEqual([
      { ...IDS, request: REGISTER },
      { ...IDS, request: STARTED },
    ]);
  });

  it('fails a question with the status the scheduler ends the stream with', async () => {
    const { call, conversation } = aConversation();
    const answer = conversation.ask(REGISTER, 1000, NEVER);
    call.close(9, 'no candidates');
    await expect(answer).rejects.toMatchObject({ code: 'failed-precondition', message: 'no candidates' });
    expect(conversation.lostBecause?.code).toBe('failed-precondition');
  });

  it('fails a question when the stream ends without an answer, and after its time', async () => {
    const ended = aConversation();
    const answer = ended.conversation.ask(REGISTER, 1000, NEVER);
    ended.call.close();
    await expect(answer).rejects.toMatchObject({ code: 'unavailable' });
    await expect(aConversation().conversation.ask(REGISTER, 10, NEVER)).rejects.toMatchObject({
      code: 'deadline-exceeded',
    });
  });

  it('ends a question by the signal', async () => {
    const leaving = new AbortController();
    const answer = aConversation().conversation.ask(REGISTER, 1000, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(answer).rejects.toThrow('gone');
  });

  it('gives a scheduler up that shows no life at all', async () => {
    const { call, conversation } = aConversation(async () => false);
    await expect(conversation.ask(REGISTER, 10_000, NEVER)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the scheduler does not answer',
    });
    expect(call.isCancelled).toBe(true);
  });

  it('is patient with one that has sent its headers', async () => {
    let looks = 0;
    const { call, conversation } = aConversation(async () => {
      looks += 1;
      return false;
    });
    call.emit('metadata', {});
    const answer = conversation.ask(REGISTER, 10_000, NEVER);
    // Longer than the first look would have come after.
    await waitFor(() => performance.now() - startedAt > 500, { what: 'half a second' });
    call.answer(TO_SOURCE);
    expect(await answer).toEqual(TO_SOURCE);
    expect(looks).toBe(0);
  });

  let startedAt: number;
  beforeEach(() => {
    startedAt = performance.now();
  });

  it('waits after the last report until the scheduler closes the stream', async () => {
    const { call, conversation } = aConversation();
    let isDone = false;
    const finished = conversation.finish(FINISHED).then(() => {
      isDone = true;
    });
    expect(call.isHalfClosed).toBe(true);
    await Promise.resolve();
    expect(isDone).toBe(false);
    call.close();
    await finished;
    expect(call.isCancelled).toBe(false);
  });

  it('gives up when its reports pile up unread, and says nothing any more', () => {
    const { call, conversation } = aConversation();
    call.writableLength = 5 * 1024 * 1024;
    conversation.report(STARTED);
    expect(conversation.lostBecause?.message).toContain('does not read');
    conversation.report(STARTED);
    expect(call.written).toHaveLength(1);
  });

  it('gives up on answers nobody asked for', () => {
    const { call, conversation } = aConversation();
    for (let count = 0; count < 5; count += 1) call.answer(TO_SOURCE);
    expect(conversation.lostBecause?.code).toBe('internal');
  });
});
