import { constants } from 'node:fs';
import { copyFile, unlink } from 'node:fs/promises';
import { isErrnoException } from '@dragonfly/errors';
import { ifPresent } from './file-io.js';

/** Errors that say that the file system of the source cannot share blocks at all, wherever the copy is to be. */
const NEVER: ReadonlySet<string> = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOTTY']);

/**
 * Copies of one store's files that share their blocks (reflinks). A file system that has no such thing is asked once:
 * each try makes, closes and removes a file, which is most of the time that a small output takes.
 */
export class FileCloner {
  #isHopeless = false;

  /** Whether a further `clone` may succeed. */
  get isHopeless(): boolean {
    return this.#isHopeless;
  }

  /**
   * Makes the new file `target`.
   * @throws the file system's error; nothing is left behind then
   */
  async clone(source: string, target: string): Promise<void> {
    try {
      await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    } catch (error) {
      if (isErrnoException(error) && error.code !== undefined && NEVER.has(error.code)) this.#isHopeless = true;
      await ifPresent(unlink(target));
      throw error;
    }
  }
}
