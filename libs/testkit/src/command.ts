import { spawn, type ChildProcess } from 'node:child_process';

/** Longer than any command of these tests takes on a slow machine. */
const COMMAND_TIMEOUT_MS = 300_000;

export interface Ended {
  /** Exit status; -1 when a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** A program that runs to its end by itself; what it prints is collected. */
export class Command {
  /** Rejects only when the program cannot be started. */
  readonly ended: Promise<Ended>;

  private constructor(private readonly child: ChildProcess) {
    const startedAt = performance.now();
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        resolve({ status: code ?? -1, stdout, stderr, durationMs: performance.now() - startedAt });
      });
    });
  }

  static start(program: string, args: readonly string[], options: CommandOptions = {}): Command {
    return new Command(
      spawn(program, args, {
        env: options.env ?? process.env,
        cwd: options.cwd,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: COMMAND_TIMEOUT_MS,
      }),
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** Runs a program to its end. Rejects only when it cannot be started. */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Ended> {
  return Command.start(program, args, options).ended;
}
