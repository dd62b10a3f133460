import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface TempDir extends Disposable {
  readonly path: string;
  /** A path inside. */
  file(...parts: string[]): string;
  remove(): void;
}

/** A directory of its own under the system's temporary directory; `using` or `remove()` takes it away. */
export function tempDir(label = 'test'): TempDir {
  const directory = realpathSync(mkdtempSync(path.join(tmpdir(), `df-${label}-`)));
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true });
  };
  return {
    path: directory,
    file: (...parts) => path.join(directory, ...parts),
    remove,
    [Symbol.dispose]: remove,
  };
}
