import { readFileSync } from 'node:fs';
import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfContent, taskIdOfUrl } from '@dragonfly/ids';
import { Content } from '@dragonfly/testkit';
import { CompatCluster } from './cluster.js';
import type { Daemon } from './daemon.js';
import { expectContent } from './expectations.js';
import { RECORDED_FILE, RECORDED_SMALL_FILE, RECORDED_TASK_TEXT } from './recording/recorded-files.js';
import { recordedAnswers, replayedAnswers, type Answer } from './replay/comparison.js';
import { bytesOf, callNumber, callsTo, recording, trailersOf } from './replay/recordings.js';
import { replay, type Replayed } from './replay/replay.js';
import { withField } from './replay/wire-patch.js';

const START_TIMEOUT_MS = 60_000;
/** Numbers of the fields `download`, and in it `url` and `output_path`. */
const DOWNLOAD = 1;
const URL_FIELD = 1;
const OUTPUT_PATH = 11;
const TASK_ID = taskIdOfContent(RECORDED_TASK_TEXT);

describe('what real programs said to a daemon when they were recorded', () => {
  const running: CompatCluster[] = [];
  let cluster: CompatCluster;
  let peer: Daemon;

  beforeAll(async () => {
    cluster = await CompatCluster.start();
    running.push(cluster);
    peer = await cluster.addDaemon({ maker: 'ours', isSeed: false });
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(running.map((one) => one.stop()));
  }, START_TIMEOUT_MS);

  describe('a child', () => {
    const events = recording('parent');
    const content = new Content(RECORDED_FILE.lengthBytes, RECORDED_FILE.seed);
    let replayed: Replayed;

    beforeAll(async () => {
      const url = cluster.origin.put('/recorded.bin', content);
      const flags = ['--content-for-calculating-task-id', RECORDED_TASK_TEXT, '--scheduling-policy', 'always'];
      await expectContent(await cluster.ourDfget(peer, url, ...flags), content);
      expect((await peer.localTasks()).map(({ taskId }) => taskId)).toContain(TASK_ID);
      replayed = await replay(events, {
        grpc: { host: peer.ip, port: 4000 },
        vortex: { host: peer.ip, port: 4005 },
      });
    }, START_TIMEOUT_MS);

    it('is told the same pieces by ours as by the real parent, and where they are', () => {
      // Another address, and no QUIC.
      const ofThePlace = ['ip', 'quicPort'];
      expect(replayedAnswers(events, replayed, ofThePlace)).toEqual(recordedAnswers(events, ofThePlace));
      const [answer] = replayedAnswers(callsTo(events, 'SyncPieces'), replayed);
      expect(answer?.messages).toEqual([
        expect.objectContaining({ number: 0, ip: peer.ip, tcpPort: 4005 }),
        expect.objectContaining({ number: 1, ip: peer.ip, tcpPort: 4005 }),
      ]);
    });

    it('is told of the load of the host until it hangs up', () => {
      const call = replayed.grpc.get(callNumber(events, 'SyncHost'));
      expect(call?.messages.all.length).toBeGreaterThanOrEqual(1);
      expect(call?.trailers.all).toEqual([]);
    });

    it('gets the pieces as from the real parent: the same frames, the bytes after them, and an open connection', () => {
      const connections = events.flatMap((event) =>
        event.type === 'open' && event.protocol === 'vortex' ? [event.call] : [],
      );
      expect(connections).toHaveLength(2);
      for (const call of connections) {
        const [recordedFrame] = bytesOf(events, call, '<');
        const [answer] = replayed.vortex.get(call)?.answers.all ?? [];
        const { metadata } = answer ?? {};
        if (recordedFrame === undefined || answer === undefined || metadata === undefined) {
          throw new Error(`connection ${call} has no piece`);
        }
        // The packet id is free, and the last eight bytes say when the parent got the piece.
        expect(answer.frame.subarray(1, -8).toString('hex')).toBe(recordedFrame.subarray(1, -8).toString('hex'));
        const { offsetBytes, lengthBytes } = metadata;
        expect(answer.content.equals(content.slice(offsetBytes, offsetBytes + lengthBytes))).toBe(true);
      }
    });
  });

  describe('a dfget', () => {
    const events = recording('dfget');
    const content = new Content(RECORDED_SMALL_FILE.lengthBytes, RECORDED_SMALL_FILE.seed);
    let output: string;
    let taskId: string;
    let replayed: Replayed;
    let recorded: readonly Answer[];
    let answers: readonly Answer[];

    beforeAll(async () => {
      const small = cluster.origin.put('/small.bin', content);
      const missing = cluster.origin.url('/missing.bin');
      output = cluster.newOutput();
      taskId = taskIdOfUrl({ url: small, tag: 'recorded', filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS });
      replayed = await replay(events, {
        grpc: { path: peer.socket },
        patch: (path, message) => {
          // `task_id`, made of the URL.
          if (path.endsWith('/DeleteTask')) return withField(message, [1], taskId);
          if (!path.endsWith('/DownloadTask')) return message;
          const url = message.includes('/missing.bin') ? missing : small;
          const patched = withField(message, [DOWNLOAD, URL_FIELD], url);
          // Only those that shall have their output from the daemon name one.
          const outputPath = url === small ? output : cluster.newOutput();
          return message.includes('/output-') ? withField(patched, [DOWNLOAD, OUTPUT_PATH], outputPath) : patched;
        },
      });
      // Ids are made of the URL and of the daemon; the origin's connection is its own.
      const ofThePlace = ['hostId', 'taskId', 'peerId', 'responseHeader'];
      recorded = recordedAnswers(events, ofThePlace);
      answers = replayedAnswers(events, replayed, ofThePlace);
    }, START_TIMEOUT_MS);

    it('is answered with the same messages as by the real daemon, the bytes of a transfer among them', () => {
      expect(answers.slice(0, 2)).toEqual(recorded.slice(0, 2));
      expect(readFileSync(output).equals(content.slice())).toBe(true);
    });

    it("is told what the origin answered, in the real daemon's form", () => {
      const call = callNumber(events, 'DownloadTask', 2);
      const said = trailersOf(events, call);
      const [says] = replayed.grpc.get(call)?.trailers.all ?? [];
      expect(says?.['grpc-status']).toBe(said['grpc-status']);
      expect(detailsOf(String(says?.['grpc-status-details-bin']))).toEqual(
        detailsOf(said['grpc-status-details-bin'] ?? ''),
      );
    });
  });
});

/** JSON of an origin's answer. What differs is the date, and the words around the status. */
function detailsOf(base64: string): unknown {
  const details = JSON.parse(Buffer.from(base64, 'base64').toString()) as {
    message: string;
    header: Record<string, string>;
  };
  expect(details.message).toContain('404 Not Found');
  return { ...details, message: undefined, header: { ...details.header, date: undefined } };
}
