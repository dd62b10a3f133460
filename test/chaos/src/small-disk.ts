import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { isErrnoException } from '@dragonfly/errors';

const FILLING = Buffer.alloc(256 * 1024);

/** A file system of its own with little room. Only root can mount one. */
export class SmallDisk {
  private constructor(readonly path: string) {}

  /** @returns undefined, after a printed reason, where it cannot be mounted */
  static mount(directory: string, sizeMib: number): SmallDisk | undefined {
    mkdirSync(directory, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', directory], { stdio: 'pipe' });
    } catch (error) {
      const [reason] = String(Error.isError(error) ? error.message : error).split('\n');
      process.stderr.write(`skip: a small file system cannot be mounted here (${reason})\n`);
      return undefined;
    }
    return new SmallDisk(directory);
  }

  makeReadOnly(): void {
    execFileSync('mount', ['-o', 'remount,ro', this.path], { stdio: 'pipe' });
  }

  /** Somebody else takes all the room there is. */
  fill(): void {
    const filler = openSync(path.join(this.path, 'filler'), 'w');
    try {
      // Who else writes there meanwhile takes a part of it: the end is told by the file system, not computed.
      for (;;) writeSync(filler, FILLING);
    } catch (error) {
      if (!isErrnoException(error) || error.code !== 'ENOSPC') throw error;
    } finally {
      closeSync(filler);
    }
  }

  makeRoom(): void {
    rmSync(path.join(this.path, 'filler'));
  }

  unmount(): void {
    execFileSync('umount', ['--lazy', this.path], { stdio: 'pipe' });
  }
}
