import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { DfError, exitCodeOf } from '@dragonfly/errors';
import { reportOf, type DownloadResult } from './download-result.js';
import { failureText, plainReason, shownUrl } from './failure-text.js';
import { fetchFile } from './fetch.js';
import { createLog } from './log.js';
import { readOptions, type DownloadOptions } from './options.js';
import { checkOutput } from './output-rules.js';
import { parseArguments, type ParsedArguments } from './parse-arguments.js';
import type { ProgressBar } from './progress-bar.js';
import type { DaemonProgram } from './start-daemon.js';
import { inTrace } from './trace.js';
import { VERSION } from './version.js';

/** The process as the command sees it; main.ts gives the real one, tests give their own. */
export interface CommandHost {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** Name of the account, or its number when it has none. */
  userName(): string;
  localIp(): string;
  /** Complete lines with their ends. */
  writeOutput(text: string): void;
  writeError(text: string): void;
  /** Whether standard error is a terminal. */
  readonly isErrorTerminal: boolean;
  /** Columns of that terminal; of standard output for `--help`. */
  columns(): number;
  /** Monotonic. */
  nowMs(): number;
  readonly daemonProgram: DaemonProgram;
}

/**
 * Runs dfget, `dfget daemon` excepted.
 * @param words command line without the program
 * @param signal aborted when the user interrupts
 * @returns exit code
 */
export async function runCommand(words: readonly string[], host: CommandHost, signal: AbortSignal): Promise<number> {
  const startedAtMs = host.nowMs();
  let options: DownloadOptions;
  try {
    const parsed = parseArguments(words);
    if (asksFor(parsed, 'help')) {
      const { helpText } = await import('./help.js');
      host.writeOutput(helpText(host.columns()));
      return 0;
    }
    if (asksFor(parsed, 'version')) {
      host.writeOutput(`dfget ${VERSION}\n`);
      return 0;
    }
    options = readOptions(parsed, host);
  } catch (error) {
    const failure = DfError.from(error);
    host.writeError(`dfget: ${failure.message}\n`);
    return exitCodeOf(failure.code);
  }
  return new Download(options, host, startedAtMs).run(signal);
}

function asksFor(parsed: ParsedArguments, name: 'help' | 'version'): boolean {
  return parsed.values.get(name) === 'true' || (parsed.positionals.length === 1 && parsed.positionals[0] === name);
}

/** One download with everything the user sees of it. */
class Download {
  #bar: ProgressBar | undefined;
  #isReadyTold = false;

  constructor(
    private readonly options: DownloadOptions,
    private readonly host: CommandHost,
    private readonly startedAtMs: number,
  ) {}

  async run(signal: AbortSignal): Promise<number> {
    const { options } = this;
    const limit = new TimeLimit(options.timeoutMs, signal);
    try {
      // Only when it is shown: finding out the time zone costs a millisecond.
      if (options.printsLines) this.#line(`--${localTimeText(new Date())}--  ${shownUrl(options.url)}`);
      this.#line(`dfget version: v${VERSION}`);
      checkOutput(options);
      if (this.host.isErrorTerminal && options.progress !== 'never') {
        this.#bar = await this.#createBar();
      }
      const result = await this.#fetch(limit.signal);
      this.#bar?.succeed(result.contentLengthBytes);
      return this.#succeed(result);
    } catch (error) {
      this.#bar?.fail();
      return this.#fail(limit.explain(DfError.from(error)));
    } finally {
      limit.clear();
    }
  }

  #fetch(signal: AbortSignal): Promise<DownloadResult> {
    const { host, options } = this;
    const { env } = host;
    const log = createLog(options.logLevel, (line) => this.#errorLine(line));
    const warn = (text: string): void => this.#errorLine(`dfget: warning: ${plainReason(text)}`);
    return inTrace({ env, url: options.url, log, warn }, (trace) =>
      fetchFile(
        options,
        {
          caller: { uid: host.uid, gid: host.gid, cwd: host.cwd },
          env,
          daemonProgram: host.daemonProgram,
          localIp: () => host.localIp(),
          log,
          warn,
          onReady: (peerIp) => this.#tellReady(peerIp),
          trace,
        },
        { onProgress: (completedBytes, totalBytes) => this.#bar?.update(completedBytes, totalBytes) },
        signal,
      ),
    );
  }

  async #createBar(): Promise<ProgressBar> {
    const { host, options } = this;
    const { ProgressBar } = await import('./progress-bar.js');
    return new ProgressBar(
      { write: (text) => host.writeError(text), columns: () => host.columns(), nowMs: () => host.nowMs() },
      {
        label: path.basename(options.outputPath),
        isShownAtOnce: options.progress === 'at-once',
        isKept: !options.printsLines,
      },
    );
  }

  #tellReady(peerIp: string): void {
    if (this.#isReadyTold) return;
    this.#isReadyTold = true;
    if (!this.options.printsLines) return;
    this.#line(`current user: ${this.host.userName()}, default peer ip: ${peerIp}`);
    this.#line(`output path: ${this.options.outputPath}`);
    this.#line('init success and start to download');
  }

  #succeed(result: DownloadResult): number {
    const costMs = this.#costMs();
    this.#line(`finish total length ${result.contentLengthBytes} bytes`);
    this.#line(`download success: true cost: ${costMs} ms`);
    const { reportFile } = this.options;
    if (reportFile === undefined) return 0;
    try {
      writeFileSync(reportFile, `${JSON.stringify(reportOf(result, costMs))}\n`);
      return 0;
    } catch (error) {
      this.#errorLine(
        `dfget: the download is complete, but the report cannot be written: ${DfError.from(error).message}`,
      );
      return 1;
    }
  }

  #fail(failure: DfError): number {
    if (this.options.isClassicForm) {
      this.#line(`download success: false cost: ${this.#costMs()} ms error: ${plainReason(failure.message)}`);
    }
    this.#errorLine(
      failure.code === 'cancelled'
        ? 'dfget: interrupted, nothing was written'
        : failureText(failure, this.options.url, this.options.isVerbose),
    );
    return exitCodeOf(failure.code);
  }

  #costMs(): number {
    return Math.round(this.host.nowMs() - this.startedAtMs);
  }

  #line(text: string): void {
    if (this.options.printsLines) this.#withoutBar(() => this.host.writeOutput(`${text}\n`));
  }

  #errorLine(text: string): void {
    this.#withoutBar(() => this.host.writeError(`${text}\n`));
  }

  /** Standard output and standard error are often the same terminal. */
  #withoutBar(write: () => void): void {
    this.#bar?.clear();
    write();
  }
}

/** The time limit of a download, joined with the user's interrupt. */
class TimeLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(
    private readonly timeoutMs: number,
    interrupt: AbortSignal,
  ) {
    const abort = (): void => this.#controller.abort(interrupt.reason);
    if (interrupt.aborted) abort();
    else interrupt.addEventListener('abort', abort, { once: true });
    if (timeoutMs > 0) this.#timer = setLongTimeout(() => this.#end(), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** A cancellation that was the time limit's doing is told as such. */
  explain(error: DfError): DfError {
    if (!this.#isOver || error.code !== 'cancelled') return error;
    return new DfError('deadline-exceeded', `it took longer than ${this.timeoutMs / 1000} s`, { cause: error });
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  #end(): void {
    this.#isOver = true;
    this.#controller.abort();
  }
}

/** Longest delay a timer takes; beyond it would fire at once. A longer limit than 24 days is none. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function setLongTimeout(callback: () => void, delayMs: number): NodeJS.Timeout | undefined {
  return delayMs > MAX_TIMER_MS ? undefined : setTimeout(callback, delayMs);
}

/** `2023-01-17 02:06:55` in the time zone of the machine. */
export function localTimeText(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
