import { accessSync, constants, existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';

// Synchronous on purpose: nothing else runs yet, and the first asynchronous call would start a thread pool.

/** What may happen to what stands at the output path. */
export interface OutputRules {
  /** Absolute. */
  readonly outputPath: string;
  readonly mayReplaceOutput: boolean;
  /** Missing directories are made. */
  readonly makesDirectories: boolean;
}

/**
 * Refuses an output that cannot be made, before anything is downloaded.
 * @throws DfError `already-exists`, `not-found` or `invalid-argument` that says what to do
 */
export function checkOutput(rules: OutputRules): void {
  const directory = path.dirname(rules.outputPath);
  if (rules.makesDirectories) makeDirectory(directory);
  const parent = statSync(directory, { throwIfNoEntry: false });
  if (parent === undefined) {
    throw new DfError('not-found', `the directory of the output does not exist: ${directory}; make it first`);
  }
  if (!parent.isDirectory()) {
    throw new DfError('failed-precondition', `the output cannot be in ${directory}: that is not a directory`);
  }
  checkWritable(directory);
  // lstat sees a dangling link, which is in the way although there is nothing behind it.
  const existing =
    statSync(rules.outputPath, { throwIfNoEntry: false }) ?? lstatSync(rules.outputPath, { throwIfNoEntry: false });
  if (existing?.isDirectory() === true) {
    const example = path.join(rules.outputPath, 'FILE');
    throw new DfError('failed-precondition', `the output is a directory; name the file in it: -O ${example}`);
  }
  if (existing !== undefined && !rules.mayReplaceOutput) throw outputExists(rules.outputPath);
}

/** A daemon may write in more places than its caller; that is no reason to download what the caller may not put there. */
function checkWritable(directory: string): void {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    const isReadOnly = isErrnoException(error) && error.code === 'EROFS';
    const reason = isReadOnly ? 'the file system is read-only' : 'permission denied';
    throw new DfError('permission-denied', `the output cannot be made in ${directory}: ${reason}`, { cause: error });
  }
}

export function outputExists(outputPath: string): DfError {
  return new DfError('already-exists', `the output exists: ${outputPath}; use --overwrite to replace it`);
}

/** Step by step: on a file system that makes no directories, such as /proc, the recursive mkdir of Node never returns. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(path.dirname(directory));
  try {
    mkdirSync(directory);
  } catch (error) {
    // Another dfget may have made it in the meantime.
    if (existsSync(directory)) return;
    const failure = DfError.from(error);
    throw new DfError(failure.code, `cannot make the directory of the output: ${failure.message}`, { cause: error });
  }
}
