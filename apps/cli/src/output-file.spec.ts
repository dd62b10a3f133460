import { DfError } from '@dragonfly/errors';
import { PendingOutput } from './output-file.js';

describe('pending output', () => {
  it('tells a failure of the file system in terms of the output, without the temporary name', async () => {
    // /proc takes a file from nobody, not even from root.
    const pending = PendingOutput.beside({ outputPath: '/proc/a', mayReplaceOutput: true, makesDirectories: false });
    const failure = await pending.open().catch((error: unknown) => pending.explain(error));
    expect(failure).toMatchObject({ details: { path: '/proc/a' } });
    expect((failure as DfError).message).toMatch(/^cannot write the output \/proc\/a: [a-z ]+$/);
    await pending.discard();
  });

  it('leaves what a source or a daemon said as it is', () => {
    const pending = PendingOutput.beside({ outputPath: '/tmp/a', mayReplaceOutput: true, makesDirectories: false });
    const told = new DfError('no-space', 'the daemon is full', { details: { errno: 'ENOSPC' } });
    expect(pending.explain(told)).toBe(told);
  });
});
