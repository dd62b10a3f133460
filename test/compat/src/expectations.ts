import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Content, CountingOrigin } from '@dragonfly/testkit';
import type { Download } from './cluster.js';
import type { Daemon, Traffic } from './daemon.js';

/** The program ended well and left exactly this content. */
export async function expectContent(download: Download, content: Content): Promise<void> {
  const { status, stdout, stderr } = download;
  expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: expect.any(String) as string });
  const hash = createHash('sha256');
  await pipeline(createReadStream(download.output), hash);
  expect(hash.digest('hex')).toBe(content.sha256());
}

/**
 * The origin gave the content away once. Besides, each daemon may have looked at it once: a Rust daemon does so with a
 * GET of one byte.
 */
export function expectFetchedOnce(origin: CountingOrigin, path: string, content: Content, daemons: number): void {
  const surplusBytes = origin.bodyBytesSent(path) - content.lengthBytes;
  expect({ path, surplusBytes, isOnce: surplusBytes >= 0 && surplusBytes <= daemons }).toMatchObject({ isOnce: true });
}

/** What a daemon fetched while `action` ran. */
export async function trafficDuring(daemon: Daemon, action: () => Promise<unknown>): Promise<Traffic> {
  const before = await daemon.traffic();
  await action();
  const after = await daemon.traffic();
  return { fromSource: after.fromSource - before.fromSource, fromPeers: after.fromPeers - before.fromPeers };
}
