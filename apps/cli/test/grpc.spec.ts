import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { FakeLightDaemon } from './fake-daemon.js';
import { fail, FakeGrpcDaemon, message, PIECE_BYTES, servingByGrpc, type DownloadTask } from './fake-grpc-daemon.js';
import { runDfget, type DfgetEnd } from './run-dfget.js';

const CONTENT = randomBytes(2 * PIECE_BYTES + 1234);
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');

describe('dfget with a daemon that has gRPC only', () => {
  let directory: TempDir;
  let daemon: FakeGrpcDaemon | undefined;

  beforeEach(() => {
    directory = tempDir('cli');
  });

  afterEach(() => {
    daemon?.close();
    daemon = undefined;
    directory.remove();
  });

  async function startDaemon(
    download: DownloadTask = servingByGrpc(directory.file('store'), CONTENT),
  ): Promise<FakeGrpcDaemon> {
    daemon = await FakeGrpcDaemon.start(directory.file('d.sock'), download);
    return daemon;
  }

  const dfget = (...words: string[]): Promise<DfgetEnd> =>
    runDfget([...words, '-e', directory.file('d.sock')], { cwd: directory.path });
  const files = (): string[] => readdirSync(directory.path).sort();

  it('downloads, and counts who sent what', async () => {
    const { requests } = await startDaemon();
    const end = await dfget('-u=http://h/a', '--report', 'report.json', '--tag', 't', '-H', 'X: 1');
    expect(end).toMatchObject({ exitCode: 0, error: '' });
    expect(end.lines.slice(4)).toEqual([
      'init success and start to download',
      `finish total length ${CONTENT.length} bytes`,
      expect.stringMatching(/^download success: true cost: \d+ ms$/),
    ]);
    expect(readFileSync(directory.file('a')).equals(CONTENT)).toBe(true);
    expect(statSync(directory.file('a')).nlink).toBe(2);
    expect(files()).toEqual(['a', 'd.sock', 'report.json', 'store']);
    expect(JSON.parse(readFileSync(directory.file('report.json'), 'utf8'))).toMatchObject({
      taskId: 'task',
      peerId: 'peer',
      outcome: 'linked',
      contentLength: CONTENT.length,
      traffic: { source: PIECE_BYTES, seed: PIECE_BYTES, peers: 1234, local: 0 },
    });
    const [request] = requests;
    expect(request).toMatchObject({
      url: 'http://h/a',
      type: commonV2.TaskType.STANDARD,
      tag: 't',
      application: '',
      priority: commonV2.Priority.LEVEL6,
      requestHeader: { X: '1' },
      needPieceContent: false,
      needBackToSource: false,
      disableBackToSource: false,
    });
    expect(request?.filteredQueryParams).toContain('X-Amz-Signature');
    // The output must not be seen before it is complete, and this daemon links it out at once.
    expect(request?.outputPath).toMatch(/\/\.a\.[0-9a-z]+\.dfget$/);
  });

  it('replaces an output that is a link to the same content, and leaves no other file', async () => {
    await startDaemon(async (call, download) => {
      await servingByGrpc(directory.file('store'), CONTENT)(call, download);
    });
    await dfget('-u=http://h/a');
    expect((await dfget('-u=http://h/a')).exitCode).toBe(0);
    expect(files()).toEqual(['a', 'd.sock', 'store']);
  });

  it('writes the output itself with --transfer-from-dfdaemon, and checks the digest', async () => {
    const { requests } = await startDaemon();
    const end = await dfget('http://h/a', '-O', 'a', '--transfer-from-dfdaemon', '--digest', `sha256:${SHA256}`);
    expect(end).toMatchObject({ exitCode: 0, error: '' });
    expect(requests[0]).toMatchObject({ needPieceContent: true, outputPath: undefined });
    expect(readFileSync(directory.file('a')).equals(CONTENT)).toBe(true);
    expect(statSync(directory.file('a')).nlink).toBe(1);
  });

  it.each([
    [0, 10],
    [PIECE_BYTES - 3, 10],
    [PIECE_BYTES + 5, PIECE_BYTES],
    [CONTENT.length - 4, 100],
  ])('cuts out the range of %d and the next %d bytes', async (start, length) => {
    await startDaemon();
    const end = await dfget('-u=http://h/a', '--range', `${start}-${start + length - 1}`);
    expect(end).toMatchObject({ exitCode: 0, error: '' });
    expect(readFileSync(directory.file('a')).equals(CONTENT.subarray(start, start + length))).toBe(true);
  });

  it('downloads an empty file', async () => {
    await startDaemon((call) => {
      call.write(
        message({
          $case: 'downloadTaskStartedResponse',
          value: dfdaemonV2.DownloadTaskStartedResponse.fromPartial({}),
        }),
      );
      call.end();
    });
    expect(await dfget('http://h/a', '-O', 'a')).toMatchObject({ exitCode: 0, error: '' });
    expect(statSync(directory.file('a')).size).toBe(0);
  });

  it('checks a digest that the daemon does not know, and leaves no file when it is wrong', async () => {
    const { requests } = await startDaemon();
    writeFileSync(directory.file('a'), 'old');
    const end = await dfget('-u=http://h/a', '--digest', `md5:${'0'.repeat(32)}`, '--disable-back-source');
    expect(requests[0]?.digest).toBeUndefined();
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain('the digest does not match');
    expect(readFileSync(directory.file('a'), 'utf8')).toBe('old');
    expect(files()).toEqual(['a', 'd.sock', 'store']);
  });

  it("reads the origin's answer out of the status", async () => {
    const answer = { message: 'not here', header: { server: 'nginx' }, status_code: 404 };
    await startDaemon((call) => fail(call, status.INTERNAL, 'backend error', JSON.stringify(answer)));
    const end = await dfget('-u=http://127.0.0.1:9/a', '--verbose');
    expect(end.exitCode).toBe(1);
    expect(end.error).toBe(
      'dfget: cannot download http://127.0.0.1:9/a: the source answered 404: not here\n  server: nginx\n  Check the URL.\n',
    );
  });

  it('does not go around a block list', async () => {
    await startDaemon((call) => fail(call, status.PERMISSION_DENIED, 'task is in the block list'));
    const end = await dfget('-u=http://127.0.0.1:9/a');
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain('task is in the block list');
    expect(end.error).not.toContain('instead');
  });

  it('finds a stream that ends too early', async () => {
    await startDaemon((call, download) => {
      if (download.outputPath !== undefined) writeFileSync(download.outputPath, 'half');
      const pieces = [commonV2.Piece.fromPartial({ number: 0, length: 10n })];
      call.write(
        message({
          $case: 'downloadTaskStartedResponse',
          value: dfdaemonV2.DownloadTaskStartedResponse.fromPartial({ contentLength: 10n, pieces }),
        }),
      );
      call.end();
    });
    const end = await dfget('-u=http://h/a', '--disable-back-source');
    expect(end.exitCode).toBe(1);
    expect(end.error).toContain('1 pieces missing');
    expect(files()).toEqual(['d.sock']);
  });

  it('says that such a daemon has no rate limit for one download', async () => {
    await startDaemon();
    const end = await dfget('-u=http://h/a', '--ratelimit', '100M');
    expect(end.exitCode).toBe(0);
    expect(end.error).toContain('no --ratelimit');
  });

  it('SIGINT cancels the call and leaves nothing behind', async () => {
    let reportStart: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      reportStart = resolve;
    });
    let reportCancel: () => void = () => undefined;
    const cancelled = new Promise<void>((resolve) => {
      reportCancel = resolve;
    });
    await startDaemon((call, download) => {
      call.on('cancelled', () => reportCancel());
      if (download.outputPath !== undefined) writeFileSync(download.outputPath, 'half');
      reportStart();
    });
    const end = await runDfget(['http://h/a', '-O', 'a', '-e', directory.file('d.sock')], {
      cwd: directory.path,
      signalWhen: started,
    });
    await cancelled;
    expect(end.exitCode).toBe(130);
    expect(files()).toEqual(['d.sock']);
  });

  it('goes over to the bytes when the daemon beside the light socket cannot write the output', async () => {
    const { requests } = await startDaemon();
    const light = await FakeLightDaemon.start(directory.file('d.light.sock'), () =>
      // As a daemon in a container without this directory.
      Promise.reject(Object.assign(new Error('no such directory'), { code: 'ENOENT' })),
    );
    try {
      const end = await dfget('-u=http://h/a');
      expect(end.exitCode).toBe(0);
      expect(end.error).toBe('dfget: warning: the daemon failed: no such directory; asking it for the bytes instead\n');
      expect(requests[0]?.needPieceContent).toBe(true);
      expect(readFileSync(directory.file('a')).equals(CONTENT)).toBe(true);
      expect(existsSync(directory.file('.a'))).toBe(false);
    } finally {
      await light.close();
    }
  });
});
