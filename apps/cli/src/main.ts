#!/usr/bin/env node
import { existsSync, writeSync } from 'node:fs';
import { networkInterfaces, userInfo } from 'node:os';
import path from 'node:path';
import { isatty } from 'node:tty';
import { isErrnoException } from '@dragonfly/errors';
import { runCommand, type CommandHost } from './command.js';
import type { DaemonProgram } from './start-daemon.js';

const MIN_NODE_MAJOR = 24;
const DEFAULT_COLUMNS = 80;
/** How long a reader of our output may take to make room in its pipe. */
const MAX_WRITE_WAIT_MS = 10_000;
const WRITE_RETRY_MS = 5;
const EXIT_CODE_OF_SIGTERM = 143;
/** Stands for a working directory that is gone, also in messages; not even root can make it. */
const REMOVED_DIRECTORY = '/proc/self/cwd (removed)';

/** The daemon that belongs to this dfget, beside it in the tree. */
/** A daemon needs no more; by itself Node would take 60 MiB (docs/PERFORMANCE.md). */
const YOUNG_GENERATION = '--max-semi-space-size=4';
const DAEMON_MAIN = path.join(import.meta.dirname, '../../peer/dist/main.js');

async function main(words: string[]): Promise<void> {
  if (Number.parseInt(process.versions.node, 10) < MIN_NODE_MAJOR) {
    writeAll(2, `dfget: Node.js ${MIN_NODE_MAJOR} or later is needed, this is ${process.versions.node}\n`);
    process.exit(1);
  }
  if (words[0] === 'daemon') {
    runDaemon(words.slice(1));
  }
  const interrupt = new AbortController();
  let signalExitCode: number | undefined;
  // Not SIGHUP: nohup has it ignored, and a handler would undo that.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Twice means now, whatever is left behind.
      if (interrupt.signal.aborted) process.exit(130);
      if (signal !== 'SIGINT') signalExitCode = EXIT_CODE_OF_SIGTERM;
      interrupt.abort(new Error(signal));
    });
  }
  const exitCode = await runCommand(words, createHost(), interrupt.signal);
  // A connection of the gRPC library would keep the process for a moment.
  process.exit(exitCode === 130 ? (signalExitCode ?? exitCode) : exitCode);
}

/** `dfget daemon` of the 2.0 line: the peer daemon in the foreground, in place of this process. */
function runDaemon(words: readonly string[]): never {
  const { command, args } = daemonProgram(process.env['DFGET_DFDAEMON']);
  const program = args.at(-1) ?? command;
  if (!existsSync(command) || !existsSync(program)) {
    writeAll(2, `dfget: the daemon is not installed at ${program}; DFGET_DFDAEMON can name another place\n`);
    process.exit(1);
  }
  process.execve?.(command, [command, ...args, ...words], process.env);
  // Node leaves it out where the operating system cannot replace a process.
  writeAll(2, 'dfget: the daemon cannot be run in the foreground here; start it by its own name, dfdaemon\n');
  process.exit(1);
}

function createHost(): CommandHost {
  const isErrorTerminal = isatty(2);
  return {
    env: process.env,
    cwd: workingDirectory(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    userName,
    localIp,
    writeOutput: (text) => writeAll(1, text),
    writeError: (text) => writeAll(2, text),
    isErrorTerminal,
    // Getting at process.stderr costs some milliseconds; without a terminal there is nothing to ask it.
    columns: () => (isErrorTerminal ? process.stderr.columns : undefined) || DEFAULT_COLUMNS,
    // Not performance.now(): loading what it belongs to costs a millisecond of the start.
    nowMs: () => process.uptime() * 1000,
    daemonProgram: daemonProgram(process.env['DFGET_DFDAEMON']),
  };
}

/** Somebody may have removed it: absolute paths go on to work, relative ones lead to a directory that does not exist. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    const { PWD: told } = process.env;
    // A shell that was started there tells nothing, or nonsense.
    return told !== undefined && path.isAbsolute(told) ? told : REMOVED_DIRECTORY;
  }
}

function daemonProgram(configured: string | undefined): DaemonProgram {
  if (configured === undefined || configured === '') {
    return { command: process.execPath, args: [YOUNG_GENERATION, DAEMON_MAIN] };
  }
  return /\.[cm]?js$/.test(configured)
    ? { command: process.execPath, args: [YOUNG_GENERATION, configured] }
    : { command: configured, args: [] };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // An account without an entry in the user database, as containers have.
    return String(process.getuid?.() ?? 0);
  }
}

function localIp(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const outward = addresses.filter((address) => !address.internal);
  return (outward.find((address) => address.family === 'IPv4') ?? outward[0])?.address ?? '127.0.0.1';
}

/** Writes synchronously: the process may exit right after, and process.stdout costs start-up time. */
function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  const giveUpAtMs = process.uptime() * 1000 + MAX_WRITE_WAIT_MS;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      // The pipe is full: its reader is slow.
      const isFull = isErrnoException(error) && error.code === 'EAGAIN';
      // Anything else: nobody reads it, and the download matters more than its lines.
      if (!isFull || process.uptime() * 1000 > giveUpAtMs) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WRITE_RETRY_MS);
    }
  }
}

void main(process.argv.slice(2));
