import { setImmediate as nextTurn } from 'node:timers/promises';
import type { schedulerV2 } from '@dragonfly/proto';
import type { AnnounceCall } from '../src/announce/peer-session.js';
import type { Turns } from '../src/announce/turns.js';
import { aDownload, aHost, aPiece, type Request } from './support/announcements.js';
import { TestCluster } from './support/test-cluster.js';

const NEVER_ABORTED = new AbortController().signal;

/** A stream whose messages are all there already, as those of a crowd are; it gives them up as fast as they are taken. */
class FullStream {
  #onMessage: (message: schedulerV2.AnnouncePeerRequest) => void = () => undefined;
  #isPaused = false;
  #isOver = false;
  #pauses = 0;

  constructor(private readonly messages: schedulerV2.AnnouncePeerRequest[]) {}

  get isOver(): boolean {
    return this.#isOver;
  }
  get pauses(): number {
    return this.#pauses;
  }
  get left(): number {
    return this.messages.length;
  }

  readonly call: AnnounceCall = {
    peer: 'test',
    metadata: undefined as unknown as AnnounceCall['metadata'],
    signal: NEVER_ABORTED,
    isOver: false,
    send: () => true,
    whenWritable: () => Promise.resolve(),
    sendWhenWritable: () => Promise.resolve(),
    end: () => {
      this.#isOver = true;
    },
    fail: (_status, message) => {
      throw new Error(message);
    },
    failWith: (error) => {
      throw error;
    },
    onCancel: () => undefined,
    onMessage: (listener) => {
      this.#onMessage = listener;
    },
    onEnd: () => undefined,
    pause: () => {
      this.#isPaused = true;
      this.#pauses += 1;
    },
    resume: () => {
      this.#isPaused = false;
      // As a stream of Node does: in the same turn, but not within the call.
      queueMicrotask(() => {
        this.flow();
      });
    },
  };

  flow(): void {
    while (!this.#isPaused && !this.#isOver) {
      const message = this.messages.shift();
      if (message === undefined) return;
      this.#onMessage(message);
    }
  }
}

it('a crowd that sends all it has at once waits in its streams, not in the memory of the scheduler', async () => {
  await using cluster = await TestCluster.start();
  const { core } = cluster.app;
  const [crowd, pieces] = [300, 40];
  const streams = Array.from({ length: crowd }, (_, index) => {
    const host = aHost(`crowd-${index}`);
    core.hosts.announce({ host, interval: undefined });
    const ids = { hostId: host.id, taskId: `task-${index}`, peerId: `peer-${index}` };
    const requests: Request[] = [
      { $case: 'registerPeerRequest', value: { download: aDownload({}, pieces) } },
      { $case: 'downloadPeerBackToSourceStartedRequest', value: {} },
      ...Array.from({ length: pieces }, (_piece, number): Request => ({
        $case: 'downloadPieceBackToSourceFinishedRequest',
        value: { piece: aPiece(number) },
      })),
      { $case: 'downloadPeerBackToSourceFinishedRequest', value: {} },
    ];
    return new FullStream(requests.map((request) => ({ ...ids, request })));
  });
  const turns = core.state.turns as Turns;
  let mostWaiting = 0;
  for (const stream of streams) {
    core.announcePeer(stream.call);
    stream.flow();
    mostWaiting = Math.max(mostWaiting, turns.waitingCount);
  }
  let most = 0;
  for (let before = left(streams); streams.some(({ isOver }) => !isOver); before = left(streams)) {
    await nextTurn();
    most = Math.max(most, before - left(streams));
    mostWaiting = Math.max(mostWaiting, turns.waitingCount);
  }
  // Two of each stream at the most, of 43; and no turn takes a large part of the whole.
  expect(mostWaiting).toBeLessThanOrEqual(2 * crowd);
  expect(most).toBeLessThan((crowd * (pieces + 3)) / 5);
  expect(streams.some(({ pauses }) => pauses > 0)).toBe(true);
  expect([...core.state.resources.peers.values()].every(({ pieces: { size } }) => size === pieces)).toBe(true);
}, 30_000);

function left(streams: readonly FullStream[]): number {
  return streams.reduce((sum, stream) => sum + stream.left, 0);
}
