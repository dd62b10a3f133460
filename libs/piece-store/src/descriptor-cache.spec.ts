import { writeFileSync } from 'node:fs';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { DescriptorCache } from './descriptor-cache.js';

const LIMITS = { maxOpenFiles: 6, maxKeptFiles: 2 };

let dir: TempDir;
let cache: DescriptorCache;
let files: string[];

beforeEach(() => {
  dir = tempDir('descriptors');
  files = Array.from({ length: 7 }, (_, index) => dir.file(`file${index}`));
  for (const file of files) writeFileSync(file, '');
  cache = new DescriptorCache(LIMITS, (error) => {
    throw error;
  });
});

afterEach(async () => {
  await cache.close();
  dir.remove();
});

describe('DescriptorCache', () => {
  it('lends more than it keeps, up to its limit, and keeps few of them', async () => {
    const leases = await Promise.all(files.slice(0, 6).map((file) => cache.acquire(file)));
    await expect(cache.acquire(files[6] ?? '')).rejects.toMatchObject({ code: 'resource-exhausted', retryable: true });
    for (const lease of leases) lease.release();
    await new Promise((resolve) => setImmediate(resolve));
    await cache.acquire(files[6] ?? '').then((lease) => lease.release());
    expect(cache.openCount).toBeLessThanOrEqual(LIMITS.maxKeptFiles);
  });

  it('shares one descriptor among the users of a file', async () => {
    const [a, b] = await Promise.all([cache.acquire(files[0] ?? ''), cache.acquire(files[0] ?? '')]);
    expect(a.fd).toBe(b.fd);
    expect(cache.openCount).toBe(1);
    a.release();
    b.release();
  });

  it('keeps a file it has made open for the next user', async () => {
    const path = dir.file('made');
    const made = await cache.create(path, 'wx+', 0o600);
    made.release();
    const again = await cache.acquire(path);
    expect(again.fd).toBe(made.fd);
    again.release();
    await expect(cache.create(path, 'wx+', 0o600)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(cache.openCount).toBeLessThanOrEqual(1);
  });
});
