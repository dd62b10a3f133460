import { spawn, type ChildProcess } from 'node:child_process';
import { DfError } from '@dragonfly/errors';
import { waitFor } from './wait-for.js';

/** Output kept of a process: the last 256 KiB. */
const MAX_OUTPUT_CHARACTERS = 256 * 1024;
const STOP_GRACE_MS = 10_000;

export interface ChildServiceOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** URL that answers 2xx when the service is ready; without it a start is at once ready. */
  readonly readyUrl?: string;
  /** Text of the output that means ready, for programs without such a URL. */
  readonly readyOutput?: RegExp;
  /** @default 60_000 */
  readonly readyTimeoutMs?: number;
}

/** A real process under test: its output is kept, its end is noticed, and it never outlives the test. */
export class ChildService {
  private output = '';
  private ended: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;
  readonly exited: Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    readonly name: string,
  ) {
    const keep = (data: Buffer): void => {
      this.output = (this.output + data.toString()).slice(-MAX_OUTPUT_CHARACTERS);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.output += `\n${error.message}`;
        this.ended = { code: null, signal: null };
        resolve();
      });
      child.once('exit', (code, signal) => {
        this.ended = { code, signal };
        resolve();
      });
    });
  }

  /** @throws DfError with the end of the output when the process ends or does not get ready */
  static async start(options: ChildServiceOptions): Promise<ChildService> {
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const service = new ChildService(child, options.name);
    try {
      await waitFor(() => service.isReady(options), {
        what: `${options.name} to be ready`,
        timeoutMs: options.readyTimeoutMs ?? 60_000,
        intervalMs: 50,
      });
    } catch (error) {
      await service.kill('SIGKILL');
      throw new DfError('unavailable', `${options.name} did not start:\n${service.log()}`, { cause: error });
    }
    if (service.ended !== undefined) {
      throw new DfError('unavailable', `${options.name} ended at once (code ${service.ended.code}):\n${service.log()}`);
    }
    return service;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Undefined while it runs. */
  get exitCode(): number | null | undefined {
    return this.ended === undefined ? undefined : this.ended.code;
  }

  log(): string {
    return this.output;
  }

  /** SIGTERM, then SIGKILL after ten seconds. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (this.ended === undefined) {
      this.child.kill('SIGTERM');
      const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_GRACE_MS);
      await this.exited;
      clearTimeout(timer);
    }
    return this.ended?.code ?? null;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.ended !== undefined) return;
    this.child.kill(signal);
    await this.exited;
  }

  private async isReady(options: ChildServiceOptions): Promise<boolean> {
    if (this.ended !== undefined) return true;
    if (options.readyOutput !== undefined) return options.readyOutput.test(this.output);
    if (options.readyUrl === undefined) return true;
    const response = await fetch(options.readyUrl, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  }
}
