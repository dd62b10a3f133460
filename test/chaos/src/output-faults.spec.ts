import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Content } from '@dragonfly/testkit';
import { ChaosCluster, RESTORE_TIMEOUT_MS } from './chaos-cluster.js';
import { expectClearFailure, expectRight } from './expectations.js';
import { SmallDisk } from './small-disk.js';

const MIB = 1024 * 1024;
const START_TIMEOUT_MS = 180_000;
const TEST_TIMEOUT_MS = 120_000;
/** Room for the store of peer-2. */
const STORE_MIB = 56;

describe('an output', () => {
  let cluster: ChaosCluster;
  let store: SmallDisk | undefined;

  beforeAll(async () => {
    cluster = await ChaosCluster.start({ peers: 2, without: ['peer-2'] });
    store = SmallDisk.mount(cluster.store('peer-2'), STORE_MIB);
    await cluster.restart('peer-2');
  }, START_TIMEOUT_MS);

  beforeEach(async () => {
    await cluster.restore();
  }, RESTORE_TIMEOUT_MS);

  afterAll(async () => {
    await cluster.kill('peer-2');
    store?.unmount();
    await cluster.destroy();
  });

  it(
    'with another digest than expected does not appear, and the origin is not read again for it',
    async () => {
      const content = new Content(9 * MIB, 60);
      const url = cluster.origin.put('/digest.bin', content);
      const wrong = await cluster.download(url, 'peer-1', '--digest', `sha256:${'0'.repeat(64)}`);
      expectClearFailure(wrong, /digest/);
      const right = await cluster.download(url, 'peer-1', '--digest', `sha256:${content.sha256()}`);
      await expectRight(right, content);
      expect(cluster.origin.bodyBytesSent('/digest.bin')).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it('in a directory that does not exist, below a file, or at a directory is refused', async () => {
    const url = cluster.origin.put('/nowhere.bin', new Content(5 * MIB, 61));
    const directory = cluster.scratch();
    writeFileSync(path.join(directory, 'file'), 'kept');
    mkdirSync(path.join(directory, 'directory'));
    for (const output of ['missing/out', 'file/out', 'directory']) {
      const ended = await cluster.beginAt(path.join(directory, output), url, 'peer-1').ended;
      // 1: cannot be made; 2: no name of a file.
      expect([1, 2]).toContain(ended.status);
      expect({ output, text: ended.stderr }).toEqual({
        output,
        text: expect.stringMatching(/director|exist|not found|is there/i) as string,
      });
    }
    expect(readdirSync(directory).sort()).toEqual(['directory', 'file']);
    expect(readdirSync(path.join(directory, 'directory'))).toEqual([]);
    expect(readFileSync(path.join(directory, 'file'), 'utf8')).toBe('kept');
  });

  it('that exists stays as it is, and nothing is fetched, without --overwrite', async () => {
    const url = cluster.origin.put('/exists.bin', new Content(5 * MIB, 62));
    const output = path.join(cluster.scratch(), 'file');
    writeFileSync(output, 'mine');
    const ended = await cluster.beginAt(output, url, 'peer-1').ended;
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/--overwrite/);
    expect(readFileSync(output, 'utf8')).toBe('mine');
    expect(cluster.origin.bodyBytesSent('/exists.bin')).toBe(0);
  });

  it(
    'on a read-only file system fails with the reason',
    async () => {
      const directory = cluster.scratch();
      const disk = SmallDisk.mount(directory, 4);
      if (disk === undefined) return;
      try {
        disk.makeReadOnly();
        const url = cluster.origin.put('/read-only.bin', new Content(5 * MIB, 63));
        const ended = await cluster.beginAt(path.join(directory, 'file'), url, 'peer-1').ended;
        expectClearFailure(ended, /read-only|EROFS/i);
      } finally {
        disk.unmount();
      }
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'on a full disk fails with the reason and leaves nothing; elsewhere it then comes from the store',
    async () => {
      const directory = cluster.scratch();
      const disk = SmallDisk.mount(directory, 6);
      if (disk === undefined) return;
      const content = new Content(12 * MIB, 64);
      const url = cluster.origin.put('/full-output.bin', content);
      try {
        const ended = await cluster.beginAt(path.join(directory, 'file'), url, 'peer-1').ended;
        expectClearFailure(ended, /space/i);
      } finally {
        disk.unmount();
      }
      const again = await cluster.download(url, 'peer-1');
      await expectRight(again, content);
      expect(again.report?.traffic.local).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that the store of the daemon has no room for is fetched by dfget itself, or refused before anything is fetched',
    async () => {
      if (store === undefined) return;
      const content = new Content((STORE_MIB + 8) * MIB, 65);
      const url = cluster.origin.put('/too-large.bin', content);
      expectClearFailure(await cluster.download(url, 'peer-2', '--disable-back-to-source'), /\d free\n +Make room/);
      expect(cluster.origin.bodyBytesSent('/too-large.bin')).toBe(0);
      await expectRight(await cluster.download(url, 'peer-2'), content);
      expect(cluster.origin.bodyBytesSent('/too-large.bin')).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that the store runs out of room for in mid-download fails with the reason; with room again nothing is fetched twice',
    async () => {
      if (store === undefined) return;
      const content = new Content(40 * MIB, 66);
      const url = cluster.origin.put('/filling.bin', { content, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-2', '--disable-back-to-source');
      await cluster.whenPieces('peer-2', url, 2);
      store.fill();
      expectClearFailure(await download.ended, /space/i);
      const had = cluster.pieces('peer-2', url);
      expect(had.numbers.length).toBeGreaterThanOrEqual(2);
      expect(cluster.isRunning('peer-2')).toBe(true);

      store.makeRoom();
      const again = await cluster.download(url, 'peer-2');
      await expectRight(again, content);
      expect(again.report?.traffic.local).toBe(had.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );
});
