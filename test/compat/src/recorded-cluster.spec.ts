import { taskIdOfContent } from '@dragonfly/ids';
import { CompatCluster } from './cluster.js';
import { RECORDED_TASK_TEXT } from './recording/recorded-files.js';
import { recordedAnswers, replayedAnswers } from './replay/comparison.js';
import { callNumber, callsTo, recording } from './replay/recordings.js';
import { replay } from './replay/replay.js';

const START_TIMEOUT_MS = 60_000;
const TEST_TIMEOUT_MS = 60_000;
const TASK_ID = taskIdOfContent(RECORDED_TASK_TEXT);

describe('what real daemons said to a cluster when they were recorded', () => {
  const running: CompatCluster[] = [];
  let cluster: CompatCluster;

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    running.push(cluster);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(running.map((one) => one.stop()));
  }, TEST_TIMEOUT_MS);

  it('is answered by our manager with its schedulers', async () => {
    const events = recording('manager');
    const replayed = await replay(events, { grpc: cluster.managerEndpoint });
    // Where the scheduler is differs, and what it can do besides downloads grows.
    const ofThePlace = ['ip', 'features'];
    expect(replayedAnswers(events, replayed, ofThePlace)).toEqual(recordedAnswers(events, ofThePlace));
    const { host, port } = cluster.schedulerEndpoint;
    expect(replayedAnswers(callsTo(events, 'ListSchedulers'), replayed)[0]).toMatchObject({
      status: '0',
      messages: [{ schedulers: [{ ip: host, port }] }],
    });
  });

  it(
    'is answered by our scheduler: hosts join, one peer is sent to the source, the next one to that peer, hosts leave',
    async () => {
      const events = recording('scheduler');
      const leaving = events.findIndex(({ call }) => call === callNumber(events, 'DeleteHost'));
      const joined = events.slice(0, leaving);
      const replayed = await replay(joined, { grpc: cluster.schedulerEndpoint });
      expect(replayedAnswers(joined, replayed)).toEqual(recordedAnswers(joined));

      // What was meant, and not only what was answered.
      expect((await cluster.hosts()).map(({ id }) => id).sort()).toEqual([
        '127.98.7.6-real-peer-1',
        '127.98.7.9-real-peer-2',
      ]);
      expect(await cluster.statTask(TASK_ID)).toMatchObject({ peerCount: 2, pieceCount: 2 });
      const [first, second] = [0, 1].map((index) => replayed.grpc.get(callNumber(events, 'AnnouncePeer', index)));
      // The daemon leaves its side open: only a stream that the scheduler closes entirely ends for it.
      expect([first?.closed.all, second?.closed.all]).toEqual([[0], [0]]);

      const rest = events.slice(leaving);
      const left = await replay(rest, { grpc: cluster.schedulerEndpoint });
      expect(replayedAnswers(rest, left)).toEqual(recordedAnswers(rest));
      expect(await cluster.hosts()).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );
});
