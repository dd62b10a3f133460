import { Content, freePort, waitFor } from '@dragonfly/testkit';
import type { ChaosCluster } from './chaos-cluster.js';
import { expectClearFailure, expectRight } from './expectations.js';
import { restoredCluster } from './restored-cluster.js';

const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 120_000;

describe('an origin', () => {
  let cluster: ChaosCluster;

  restoredCluster({ peers: 1 }, (started) => {
    cluster = started;
  });

  it.each([
    [404, /404/],
    [403, /403/],
    [500, /500/],
  ])(
    'that answers %i fails the download with that status',
    async (status, text) => {
      const url = cluster.origin.put(`/refused-${status}.bin`, { content: Buffer.alloc(0), status });
      expectClearFailure(await cluster.download(url, 'peer-1'), text);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that begins to answer 403 in mid-download fails the download with that status',
    async () => {
      const content = new Content(48 * MIB, 40);
      const url = cluster.origin.put('/revoked.bin', { content, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('peer-1', url, 2);
      cluster.origin.put('/revoked.bin', { content, status: 403 });
      expectClearFailure(await download.ended, /403/);
    },
    TEST_TIMEOUT_MS,
  );

  it('that is not there fails the download with the reason', async () => {
    const download = await cluster.download(`http://127.0.0.1:${await freePort()}/nothing.bin`, 'peer-1');
    expectClearFailure(download, /refused|ECONNREFUSED|connect/i);
  });

  it(
    'that does not answer in time fails the download in bounded time',
    async () => {
      const url = cluster.origin.put('/mute.bin', { content: new Content(8 * MIB, 41), headDelayMs: 600_000 });
      const download = await cluster.download(url, 'peer-1', '--timeout', '5s');
      expectClearFailure(download, /time|deadline/i);
      expect(download.durationMs).toBeLessThan(30_000);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that stalls in every body is given up with the reason, and serves again when it has recovered',
    async () => {
      const content = new Content(12 * MIB, 42);
      const url = cluster.origin.put('/stalling.bin', { content, stallAfterBytes: 0 });
      const failed = await cluster.download(url, 'peer-1');
      expectClearFailure(failed, /stall|nothing|time/i);
      expect(failed.durationMs).toBeLessThan(60_000);
      cluster.origin.put('/stalling.bin', { content });
      await expectRight(await cluster.download(url, 'peer-1'), content);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that breaks every body off is continued where it broke, no byte twice',
    async () => {
      const content = new Content(20 * MIB + 17, 43);
      const url = cluster.origin.put('/breaking.bin', { content, breakAfterBytes: 1.5 * MIB });
      await expectRight(await cluster.download(url, 'peer-1'), content);
      expect(cluster.origin.bodyBytesSent('/breaking.bin')).toBe(content.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that never sends a whole body fails the download instead of storing a short file',
    async () => {
      const url = cluster.origin.put('/short.bin', { content: new Content(8 * MIB, 44), breakAfterBytes: 0 });
      expectClearFailure(await cluster.download(url, 'peer-1'), /early|closed|broke|reset|ended/i);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'whose content changes in mid-download gives the new content whole, never a mixture',
    async () => {
      const before = new Content(48 * MIB, 45);
      const after = new Content(44 * MIB + 5, 46);
      const url = cluster.origin.put('/changing.bin', { content: before, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('peer-1', url, 2);
      cluster.origin.put('/changing.bin', { content: after });
      await expectRight(await download.ended, after);
      await expectRight(await cluster.download(url, 'peer-1'), after);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that promises ranges and ignores them is read once',
    async () => {
      const content = new Content(20 * MIB + 3, 47);
      const url = cluster.origin.put('/liar.bin', { content, ranges: false, headers: { 'accept-ranges': 'bytes' } });
      await expectRight(await cluster.download(url, 'peer-1'), content);
      expect(cluster.origin.bodyBytesSent('/liar.bin') / content.lengthBytes).toBeLessThan(1.1);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'that stops answering ranges in mid-download still gives the right bytes',
    async () => {
      const content = new Content(32 * MIB, 48);
      const url = cluster.origin.put('/turncoat.bin', { content, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('seed', url, 2);
      cluster.origin.put('/turncoat.bin', { content, ranges: false });
      await expectRight(await download.ended, content);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'is left alone when the one who asked is killed, and only asked for the rest later',
    async () => {
      const content = new Content(48 * MIB, 49);
      const url = cluster.origin.put('/abandoned.bin', { content, bytesPerSecond: 8 * MIB });
      const download = cluster.begin(url, 'peer-1');
      await cluster.whenPieces('peer-1', url, 2);
      download.kill();
      await download.ended;
      // Nobody wants it any more: neither the peer nor the seed peer reads on.
      let sent = -1;
      await waitFor(
        () => {
          const before = sent;
          sent = cluster.origin.bodyBytesSent('/abandoned.bin');
          return before === sent;
        },
        { what: 'the origin to be left alone', intervalMs: 500 },
      );
      const stored = cluster.pieces('peer-1', url);
      expect(stored.isComplete).toBe(false);
      const again = await cluster.download(url, 'peer-1');
      await expectRight(again, content);
      expect(again.report?.traffic.local).toBe(stored.lengthBytes);
    },
    TEST_TIMEOUT_MS,
  );
});
