import { jest } from '@jest/globals';
import { Content, CountingOrigin, tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { TestDaemon, type TestDaemonOptions } from './test-daemon.js';
import { backToSource, TestScheduler, type Tell } from './test-scheduler.js';

jest.setTimeout(60_000);

const MIB = 1024 * 1024;
const CONTENT = new Content(20 * MIB);

let dir: TempDir;
let origin: CountingOrigin;
let scheduler: TestScheduler;
let daemons: TestDaemon[];

beforeEach(async () => {
  dir = tempDir('moved');
  origin = await CountingOrigin.start();
  daemons = [];
});

afterEach(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
  await scheduler.stop();
  await origin.close();
  dir.remove();
});

async function aDaemon(name: string, options: Partial<TestDaemonOptions> = {}): Promise<TestDaemon> {
  const started = await TestDaemon.start({ dir, name, schedulers: [scheduler.address], ...options });
  daemons.push(started);
  return started;
}

/** The scheduler dies, and is there again with no memory of peers. */
async function restartScheduler(): Promise<void> {
  const { port } = scheduler;
  await scheduler.stop();
  scheduler.peers.length = 0;
  await scheduler.serve(port);
}

const endsOf = (): unknown[] => scheduler.peers.map(({ end }) => end);

describe('a download whose scheduler was restarted in the middle', () => {
  it('tells the scheduler when it is given up', async () => {
    scheduler = await TestScheduler.start();
    const url = origin.put('/file', CONTENT);
    const parent = await aDaemon('parent', { settings: { DRAGONFLY_UPLOAD__BANDWIDTH_LIMIT: '2MiB' } });
    await parent.get({ url, output: dir.file('parent.out') });
    const child = await aDaemon('child');
    const policy = scheduler.policy;
    const candidates = scheduler.peers.map((peer) => scheduler.candidate(peer));
    scheduler.policy = (peer, at) =>
      peer.hostId === child.hostId
        ? { $case: 'normalTaskResponse', value: { candidateParents: candidates } }
        : policy(peer, at);
    const gone = new AbortController();
    const download = child.get({ url, output: dir.file('child.out') }, gone.signal);
    download.catch(() => undefined);
    await waitFor(() => scheduler.reportsOf(child.hostId, 'downloadPieceFinishedRequest').length > 0, {
      what: 'the first piece',
    });
    await restartScheduler();
    await waitFor(() => scheduler.reportsOf(child.hostId, 'downloadPeerStartedRequest').length > 0, {
      what: 'the second registration',
    });
    gone.abort();
    await expect(download).rejects.toBeDefined();
    await waitFor(() => !endsOf().includes(undefined), { what: 'the end of every stream' });
  });

  it('leaves no stream behind when it ends while another scheduler is being told of it', async () => {
    let isAnswering = true;
    scheduler = await TestScheduler.start(0, (_request, tell: Tell) => {
      if (isAnswering) tell({ granted: true, reportInterval: { seconds: 5n } });
    });
    scheduler.policy = backToSource;
    const url = origin.put('/file', { content: CONTENT, bytesPerSecond: 8 * MIB });
    const daemon = await aDaemon('a');
    const download = daemon.get({ url, output: dir.file('out') });
    await waitFor(() => origin.bodyBytesSent('/file') > MIB, { what: 'the first bytes', intervalMs: 5 });
    // From now on it is not decided whether the source may be read.
    isAnswering = false;
    await restartScheduler();
    await download;
    await waitFor(() => scheduler.peers.length > 0 && !endsOf().includes(undefined), {
      what: 'the end of every stream',
    });
  });
});
