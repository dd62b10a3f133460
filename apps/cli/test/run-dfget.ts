import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The built dfget. */
export const PROGRAM = fileURLToPath(new URL('../dist/dfget.js', import.meta.url));

/** What a dfget process left behind. */
export interface DfgetEnd {
  readonly exitCode: number | null;
  readonly output: string;
  readonly error: string;
  /** Lines of standard output. */
  readonly lines: readonly string[];
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Commands of a shell that becomes dfget afterwards. */
  readonly after?: string;
  readonly signal?: NodeJS.Signals;
  /** Sends `signal` when it settles. */
  readonly signalWhen?: Promise<unknown>;
}

/**
 * Runs the built dfget as a user does. Nothing of the machine's own set-up reaches it: no daemon of the machine, no
 * variables.
 */
export async function runDfget(words: readonly string[], options: RunOptions): Promise<DfgetEnd> {
  if (!existsSync(PROGRAM)) throw new Error(`${path.basename(PROGRAM)} is not built; run the build first`);
  const command = [process.execPath, PROGRAM, ...words];
  const shell = options.after === undefined ? [] : ['/bin/sh', '-c', `${options.after} && exec "$@"`, 'sh'];
  const [program = '', ...rest] = [...shell, ...command];
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'], HOME: options.cwd, TZ: 'UTC', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  const error: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => error.push(chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve(code);
    });
  });
  if (options.signalWhen !== undefined) {
    await options.signalWhen;
    child.kill(options.signal ?? 'SIGINT');
  }
  const exitCode = await ended;
  const text = Buffer.concat(output).toString();
  return {
    exitCode,
    output: text,
    error: Buffer.concat(error).toString(),
    lines: text === '' ? [] : text.replace(/\n$/, '').split('\n'),
  };
}
