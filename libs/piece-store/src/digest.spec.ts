import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { contentOf, quietLog, storeContent } from '../test/store-fixtures.js';
import { PieceStore } from './piece-store.js';
import type { StoredTask } from './stored-task.js';

const SMALL = contentOf(5_000);
/** Beyond what is hashed without a thread. */
const LARGE = contentOf(3_000_000);

describe('digest of a stored content', () => {
  let directory: TempDir;
  let store: PieceStore;
  let small: StoredTask;
  let large: StoredTask;

  beforeAll(async () => {
    directory = tempDir('digest');
    store = await PieceStore.open({ directory: directory.path, log: quietLog });
    small = await store.getOrCreate('standard', 'small', {
      pieceLengthBytes: 1 << 20,
      contentLengthBytes: SMALL.length,
    });
    large = await store.getOrCreate('standard', 'large', {
      pieceLengthBytes: 1 << 20,
      contentLengthBytes: LARGE.length,
    });
    await storeContent(small, SMALL);
    await storeContent(large, LARGE);
  });
  afterAll(async () => {
    await store.close();
    directory.remove();
  });

  it.each(['md5', 'sha1', 'sha256', 'sha512'])('agrees with node:crypto on %s', async (algorithm) => {
    const of = (content: Buffer): string => createHash(algorithm).update(content).digest('hex');
    await expect(small.digest(algorithm)).resolves.toBe(of(SMALL));
    await expect(large.digest(algorithm)).resolves.toBe(of(LARGE));
    await expect(large.verify(`${algorithm}:${of(LARGE).toUpperCase()}`)).resolves.toBe(true);
    await expect(large.verify(`${algorithm}:${of(SMALL)}`)).resolves.toBe(false);
  });

  it('writes crc32 as a decimal', async () => {
    await expect(large.verify(`crc32:${crc32(LARGE)}`)).resolves.toBe(true);
    await expect(small.verify(`crc32:${crc32(SMALL)}`)).resolves.toBe(true);
  });

  it('can be given up, running or waiting for its turn', async () => {
    const abort = new AbortController();
    const attempts = Array.from({ length: 6 }, () => large.digest('sha256', abort.signal));
    const outcomes = Promise.allSettled(attempts);
    abort.abort();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    }
    expect(large.isInUse).toBe(false);
    await expect(large.digest('md5')).resolves.toHaveLength(32);
  });

  it('refuses digests it cannot check', async () => {
    for (const digest of ['', 'sha256', 'sha256:', 'whirlpool9:abcd', ':abcd']) {
      await expect(large.verify(digest)).rejects.toMatchObject({ code: 'invalid-argument' });
    }
  });
});
