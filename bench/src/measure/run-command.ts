import { spawn } from 'node:child_process';
import { cpuSecondsOfEndedChildren } from './process-figures.ts';

/** Longest that one measured command may run. */
const COMMAND_TIMEOUT_MS = 120_000;
const MAX_SHOWN_CHARACTERS = 4000;

export interface CommandFigures {
  /** From before the process is made to its end. */
  readonly wallSeconds: number;
  /** Of the command itself; meaningless while other commands run. */
  readonly cpuSeconds: number;
}

/**
 * Runs a command to its end.
 * @throws Error with the end of its output when it fails or takes longer than two minutes
 */
export async function runCommand(command: string, args: readonly string[]): Promise<CommandFigures> {
  const cpuBefore = cpuSecondsOfEndedChildren();
  const startedAt = performance.now();
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: COMMAND_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  const keep = (data: Buffer): void => {
    output = (output + data.toString()).slice(-MAX_SHOWN_CHARACTERS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let wallSeconds = 0;
  const ended = Promise.withResolvers<string>();
  child.once('exit', () => {
    wallSeconds = (performance.now() - startedAt) / 1000;
  });
  child.once('error', (error) => {
    ended.resolve(error.message);
  });
  child.once('close', (code, signal) => {
    ended.resolve(code === 0 ? '' : `ended with ${code ?? signal}`);
  });
  const failure = await ended.promise;
  if (failure !== '') throw new Error(`${command} ${args.join(' ')}: ${failure}\n${output}`);
  return { wallSeconds, cpuSeconds: cpuSecondsOfEndedChildren() - cpuBefore };
}
