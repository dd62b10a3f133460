import { execFile } from 'node:child_process';

/** Longer than any single command of these tests takes on a slow machine. */
const COMMAND_TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export interface Ended {
  /** Exit status; -1 when a signal, also that of the timeout, ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** Runs a program to its end, at most a minute. Does not reject: a program that cannot be started has status -1. */
export async function runCommand(program: string, args: readonly string[]): Promise<Ended> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { timeout: COMMAND_TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ status, stdout, stderr, durationMs: performance.now() - startedAt });
      },
    );
  });
}
