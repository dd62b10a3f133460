import { jest } from '@jest/globals';
import { Content, CountingOrigin, tempDir } from '@dragonfly/testkit';
import { TestDaemon } from './test-daemon.js';

jest.setTimeout(60_000);

/** More than any default of a server is likely to be. */
const CROWD = 600;

it('a crowd of dfgets is served by one daemon, and the origin is read once', async () => {
  using dir = tempDir('crowd');
  const origin = await CountingOrigin.start();
  const content = new Content(1000);
  const url = origin.put('/file', content);
  const daemon = await TestDaemon.start({ dir, name: 'peer' });
  try {
    const crowd = Array.from({ length: CROWD }, (_, index) => daemon.get({ url, output: dir.file(`out-${index}`) }));
    const outcomes = await Promise.allSettled(crowd);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(origin.bodyBytesSent('/file')).toBe(content.lengthBytes);
  } finally {
    await daemon.stop();
    await origin.close();
  }
});
