import { lstatSync } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { outputExists, type OutputRules } from './output-rules.js';

/** NAME_MAX of Linux, in bytes. */
const MAX_NAME_BYTES = 255;

/** A file that becomes the output in one step when it is complete, and nothing when it is not. */
export class PendingOutput {
  private constructor(
    private readonly rules: OutputRules,
    /** In the directory of the output, so that the last step is a rename. */
    readonly temporaryPath: string,
  ) {}

  /** Only chooses the name; who writes makes the file. */
  static beside(rules: OutputRules): PendingOutput {
    // Only to be unlike the names of other downloads: the file is opened exclusively.
    const suffix = `.${process.pid.toString(36)}${Date.now().toString(36)}.dfget`;
    let name = `.${path.basename(rules.outputPath)}`;
    while (Buffer.byteLength(name + suffix) > MAX_NAME_BYTES) name = [...name].slice(0, -1).join('');
    return new PendingOutput(rules, path.join(path.dirname(rules.outputPath), name + suffix));
  }

  /** Makes the file, for reading and writing, with the permissions the caller's umask leaves. */
  open(): Promise<FileHandle> {
    return open(this.temporaryPath, 'wx+');
  }

  /**
   * Makes it the output.
   * @throws DfError `already-exists` when an output that may not be replaced has come into being meanwhile
   */
  async commit(): Promise<void> {
    if (this.rules.mayReplaceOutput) {
      await rename(this.temporaryPath, this.rules.outputPath);
      return;
    }
    // Unlike rename, link never replaces.
    try {
      await link(this.temporaryPath, this.rules.outputPath);
    } catch (error) {
      if (!isErrnoException(error)) throw error;
      if (error.code === 'EEXIST') throw outputExists(this.rules.outputPath);
      // A file system without hard links: the check and the rename are two steps there, it cannot be helped.
      if (lstatSync(this.rules.outputPath, { throwIfNoEntry: false }) !== undefined) {
        throw outputExists(this.rules.outputPath);
      }
      await rename(this.temporaryPath, this.rules.outputPath);
      return;
    }
    await this.discard();
  }

  /** Removes what was written; the output is untouched. Where nothing can be removed, nothing could be made either. */
  async discard(): Promise<void> {
    await rm(this.temporaryPath, { force: true }).catch(() => undefined);
  }

  /**
   * A failure in the words of who gave the output. Origins and daemons fail with errors of their own, so an errno is one of
   * the file system below the output.
   * @returns with `details.path`, the output, when that is what failed
   */
  explain(error: unknown): DfError {
    const failure = DfError.from(error);
    if (error instanceof DfError || !isErrnoException(error)) return failure;
    // `ENOSPC: no space left on device, write`: neither the call nor the temporary name tells the user anything.
    const reason = /^[A-Z0-9]+: ([^,]+)/.exec(failure.message)?.[1] ?? failure.message;
    return new DfError(failure.code, `cannot write the output ${this.rules.outputPath}: ${reason}`, {
      cause: error,
      details: { ...failure.details, path: this.rules.outputPath },
    });
  }
}
