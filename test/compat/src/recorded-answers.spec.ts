import { readFileSync, writeFileSync } from 'node:fs';
import { taskIdOfContent } from '@dragonfly/ids';
import { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { Content, runCommand, tempDir, type TempDir } from '@dragonfly/testkit';
import { decodeFrameHeader, decodePieceRequest, FRAME_HEADER_LENGTH_BYTES } from '@dragonfly/vortex';
import { CompatCluster } from './cluster.js';
import { expectContent } from './expectations.js';
import { LoopbackNetwork } from './loopback.js';
import { RECORDED_FILE, RECORDED_SMALL_FILE, RECORDED_TASK_TEXT } from './recording/recorded-files.js';
import { bytesOf, callNumber, callsTo, recording } from './replay/recordings.js';
import { RecordedPieceServer, RecordedServer } from './replay/recorded-server.js';
import { replay } from './replay/replay.js';
import { withField } from './replay/wire-patch.js';
import { REPOSITORY } from './repository.js';

const START_TIMEOUT_MS = 60_000;
const TEST_TIMEOUT_MS = 60_000;

describe('our dfget, answered as the real daemon answered the real dfget', () => {
  const events = recording('dfget');
  const content = new Content(RECORDED_SMALL_FILE.lengthBytes, RECORDED_SMALL_FILE.seed);
  const URL = 'http://127.0.0.1:9/small.bin';
  let directory: TempDir;
  let server: RecordedServer;

  beforeEach(async () => {
    directory = tempDir('compat');
    const isOutputWanted = (request: Buffer): string | undefined =>
      dfdaemonV2.DownloadTaskRequest.decode(request).download?.outputPath;
    server = await RecordedServer.start({
      listen: { path: directory.file('d.sock') },
      events: callsTo(events, 'DownloadTask'),
      before: (_path, request) => {
        const output = isOutputWanted(request);
        // A daemon writes the output itself.
        if (output !== undefined) writeFileSync(output, content.slice());
      },
    });
  });

  afterEach(async () => {
    await server.close();
    directory.remove();
  });

  const dfget = async (...flags: string[]) =>
    runCommand(
      `${REPOSITORY}/bin/dfget`,
      [URL, '-O', directory.file('out'), '-e', directory.file('d.sock'), '--no-daemon', ...flags],
      { env: { ...process.env, HOME: directory.path, DRAGONFLY_HOME: directory.file('none') } },
    );

  it('asks as it does, takes a file, then the bytes of one, and tells of a missing one', async () => {
    const digest = `sha256:${content.sha256()}`;
    const linked = await dfget('--tag', 'recorded', '--digest', digest, '-H', 'X-Recorded: yes');
    expect(linked).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(directory.file('out')).equals(content.slice())).toBe(true);

    const transferred = await dfget('--tag', 'recorded', '--transfer-from-dfdaemon', '--overwrite', '--digest', digest);
    expect(transferred).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(directory.file('out')).equals(content.slice())).toBe(true);

    const missing = await dfget('--overwrite');
    expect(missing).toMatchObject({ status: 1, stderr: expect.stringContaining('the source answered 404') as string });

    // What ours asked, beside what the real one asked: the same but for places.
    const asked = server.received.map(({ messages: [message] }) => requestOf(message));
    const recorded = [0, 1, 2].map((index) =>
      requestOf(bytesOf(events, callNumber(events, 'DownloadTask', index), '>')[0]),
    );
    expect(asked).toEqual(recorded);
  });

  /** A download without what names places, and without what only one of the two says: `timeout` is in the call's deadline. */
  function requestOf(message: Buffer | undefined): Partial<commonV2.Download> {
    const { download } = dfdaemonV2.DownloadTaskRequest.decode(message ?? Buffer.alloc(0));
    return { ...download, url: '', outputPath: undefined, remoteIp: undefined, timeout: undefined };
  }
});

describe('our peer, with the recorded real peer as its parent', () => {
  const PARENT_HOST = 'real-peer-1';
  const TASK_ID = taskIdOfContent(RECORDED_TASK_TEXT);
  const content = new Content(RECORDED_FILE.lengthBytes, RECORDED_FILE.seed);
  const running: { stop(): Promise<void> }[] = [];

  afterAll(async () => {
    for (const one of running.reverse()) await one.stop();
  }, START_TIMEOUT_MS);

  it(
    'fetches every piece from it, and nothing from the source',
    async () => {
      const network = new LoopbackNetwork();
      const cluster = await CompatCluster.start({ network });
      running.push(cluster);
      const ip = network.next();
      const parentEvents = recording('parent');
      const parent = await RecordedServer.start({
        listen: { host: ip, port: 4000 },
        events: callsTo(parentEvents, 'SyncHost', 'SyncPieces'),
        // `ip` of a piece.
        patch: (path, message) => (path.endsWith('/SyncPieces') ? withField(message, [4], ip) : message),
      });
      running.push({ stop: () => parent.close() });
      const pieces = await RecordedPieceServer.start({ host: ip, port: 4005 }, (request) => pieceAnswer(request));
      running.push({ stop: () => pieces.close() });

      // The real peer joins and fetches from the source, as it was recorded.
      const told = recording('scheduler');
      const source = callNumber(told, 'AnnouncePeer');
      const announced = told.filter((event) => event.call <= source);
      await replay(announced, {
        grpc: cluster.schedulerEndpoint,
        patch: (path, message) => (path.endsWith('/AnnounceHost') ? withField(message, [1, 4], ip) : message),
      });
      expect((await cluster.hosts()).map(({ hostname }) => hostname)).toContain(PARENT_HOST);

      const child = await cluster.addDaemon({ maker: 'ours', isSeed: false });
      const url = cluster.origin.put('/recorded.bin', content);
      const flags = ['--content-for-calculating-task-id', RECORDED_TASK_TEXT, '--scheduling-policy', 'always'];
      await expectContent(await cluster.ourDfget(child, url, ...flags), content);

      expect(await child.traffic()).toEqual({ fromSource: 0, fromPeers: content.lengthBytes });
      expect(cluster.origin.bodyBytesSent('/recorded.bin')).toBe(0);
      expect(parent.received.map(({ path }) => path.split('/').at(-1)).sort()).toEqual(['SyncHost', 'SyncPieces']);
      expect(pieces.requests.map((request) => decodePieceRequest(request.subarray(FRAME_HEADER_LENGTH_BYTES)))).toEqual(
        expect.arrayContaining([
          { taskId: TASK_ID, pieceNumber: 0 },
          { taskId: TASK_ID, pieceNumber: 1 },
        ]),
      );
      expect(pieces.requests).toHaveLength(2);

      /** The frame that the real parent answered for this piece, and the bytes that it sent then. */
      function pieceAnswer(request: Buffer): readonly Buffer[] {
        const { pieceNumber } = decodePieceRequest(request.subarray(FRAME_HEADER_LENGTH_BYTES));
        expect(decodeFrameHeader(request)).toMatchObject({ tag: 0 });
        for (const event of parentEvents) {
          if (event.type !== 'frame' || event.side !== '>') continue;
          if (decodePieceRequest(event.bytes.subarray(FRAME_HEADER_LENGTH_BYTES)).pieceNumber !== pieceNumber) continue;
          const [frame] = bytesOf(parentEvents, event.call, '<');
          const start = pieceNumber * 4 * 1024 * 1024;
          return [frame ?? Buffer.alloc(0), content.slice(start, start + 4 * 1024 * 1024)];
        }
        return [];
      }
    },
    TEST_TIMEOUT_MS,
  );
});
