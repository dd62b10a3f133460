import { lstatSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';

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
  // lstat sees a dangling link, which is in the way although there is nothing behind it.
  const existing =
    statSync(rules.outputPath, { throwIfNoEntry: false }) ?? lstatSync(rules.outputPath, { throwIfNoEntry: false });
  if (existing?.isDirectory() === true) {
    const example = path.join(rules.outputPath, 'FILE');
    throw new DfError('failed-precondition', `the output is a directory; name the file in it: -O ${example}`);
  }
  if (existing !== undefined && !rules.mayReplaceOutput) throw outputExists(rules.outputPath);
}

export function outputExists(outputPath: string): DfError {
  return new DfError('already-exists', `the output exists: ${outputPath}; use --overwrite to replace it`);
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    const failure = DfError.from(error);
    throw new DfError(failure.code, `cannot make the directory of the output: ${failure.message}`, { cause: error });
  }
}
