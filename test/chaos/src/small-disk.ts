import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

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
    const { bavail, bsize } = statfsSync(this.path);
    writeFileSync(path.join(this.path, 'filler'), Buffer.alloc(bavail * bsize));
  }

  makeRoom(): void {
    rmSync(path.join(this.path, 'filler'));
  }

  unmount(): void {
    execFileSync('umount', ['--lazy', this.path], { stdio: 'pipe' });
  }
}
