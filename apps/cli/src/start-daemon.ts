import { spawn } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { LightClient } from '@dragonfly/light';
import { isTrustworthy, type DaemonSockets } from './sockets.js';

/** From the first look at the socket to giving up. */
const START_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 25;
/** Of what a daemon that failed said, shown to the user. */
const MAX_REASON_CHARACTERS = 500;
/** End of its output that is looked at. */
const MAX_OUTPUT_BYTES = 8 * 1024;

export interface DaemonProgram {
  /** Program and its first arguments. */
  readonly command: string;
  readonly args: readonly string[];
}

export interface StartDaemonOptions {
  readonly program: DaemonProgram;
  readonly sockets: DaemonSockets;
  readonly configFile: string | undefined;
  readonly workHome: string | undefined;
  readonly logDirectory: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Of the caller. */
  readonly uid: number;
}

/**
 * Starts a daemon that outlives dfget, and waits until it answers on its light socket.
 *
 * Of several dfgets at once one starts it and the others wait for the same socket.
 * @throws DfError `unavailable` with what the daemon said when it does not answer within 5 s; `cancelled`
 */
export async function startDaemon(options: StartDaemonOptions, signal: AbortSignal): Promise<LightClient> {
  const directory = path.dirname(options.sockets.lightPath);
  makePrivateDirectory(directory, options.uid);
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  const lock = StartLock.tryTake(path.join(directory, 'dfget-start.lock'));
  let child: StartedDaemon | undefined;
  try {
    // Whoever held the lock before may have started one since dfget looked.
    const running = await connect(options.sockets.lightPath, signal);
    if (running !== undefined) return running;
    if (lock !== undefined) child = spawnDaemon(options, path.join(directory, `.dfget-start.${process.pid}`));
    return await untilItAnswers(options.sockets.lightPath, child, deadlineMs, signal);
  } finally {
    child?.letGo();
    lock?.release();
  }
}

async function untilItAnswers(
  lightPath: string,
  child: StartedDaemon | undefined,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<LightClient> {
  while (performance.now() < deadlineMs) {
    await sleep(POLL_INTERVAL_MS, undefined, { signal });
    const client = await connect(lightPath, signal);
    if (client !== undefined) return client;
    const reason = child?.failure();
    if (reason !== undefined) throw new DfError('unavailable', `the daemon did not start: ${reason}`);
  }
  throw new DfError('unavailable', `the daemon did not answer on ${lightPath} within ${START_TIMEOUT_MS} ms`);
}

/** @returns undefined when nobody listens (yet) */
async function connect(lightPath: string, signal: AbortSignal): Promise<LightClient | undefined> {
  try {
    return await LightClient.connect(lightPath, { signal });
  } catch (error) {
    const failure = DfError.from(error);
    if (failure.code === 'unavailable') return undefined;
    throw failure;
  }
}

interface StartedDaemon {
  /** What it said last when it has ended already. */
  failure(): string | undefined;
  /** dfget may end without it. */
  letGo(): void;
}

function spawnDaemon(options: StartDaemonOptions, outputFile: string): StartedDaemon {
  // What it says goes to a file without a name: it may outlive dfget, and nothing is left to clean up.
  const output = openSync(outputFile, 'wx+', 0o600);
  rmSync(outputFile);
  const child = spawn(options.program.command, [...options.program.args, ...daemonArguments(options)], {
    detached: true,
    stdio: ['ignore', output, output],
    env: { ...options.env, ...daemonEnvironment(options) },
    cwd: '/',
  });
  let ending: string | undefined;
  child.once('error', (error) => {
    ending = error.message;
  });
  child.once('exit', (code, exitSignal) => {
    ending = lastWords(output) || `it ended with ${String(exitSignal ?? code)}`;
  });
  return {
    failure: () => ending,
    letGo: () => {
      child.removeAllListeners();
      child.unref();
      closeSync(output);
    },
  };
}

/** Flags of the daemon, as docs/dfget.md tells. */
export function daemonArguments(
  options: Pick<StartDaemonOptions, 'configFile' | 'workHome' | 'logDirectory'>,
): string[] {
  const logDirectory =
    options.logDirectory ?? (options.workHome === undefined ? undefined : path.join(options.workHome, 'logs'));
  return [
    '--on-demand',
    ...(options.configFile === undefined ? [] : ['--config', options.configFile]),
    ...(logDirectory === undefined ? [] : ['--log-dir', logDirectory]),
  ];
}

/** Overrides of its configuration: it must listen where dfget looks, whatever the file says. */
export function daemonEnvironment(options: Pick<StartDaemonOptions, 'sockets' | 'workHome'>): NodeJS.ProcessEnv {
  return {
    DRAGONFLY_DOWNLOAD__SERVER__SOCKET_PATH: options.sockets.grpcPath,
    DRAGONFLY_DOWNLOAD__LIGHT_SOCKET_PATH: options.sockets.lightPath,
    ...(options.workHome === undefined
      ? {}
      : {
          DRAGONFLY_STORAGE__DIR: path.join(options.workHome, 'store'),
          DRAGONFLY_SERVER__CACHE_DIR: path.join(options.workHome, 'cache'),
        }),
  };
}

/** Last line of its output that says something. */
function lastWords(output: number): string {
  const text = Buffer.alloc(MAX_OUTPUT_BYTES);
  const from = Math.max(0, fstatSync(output).size - text.length);
  const lines = text.toString('utf8', 0, readSync(output, text, 0, text.length, from)).split('\n');
  return (lines.findLast((line) => line.trim() !== '') ?? '').slice(0, MAX_REASON_CHARACTERS);
}

/**
 * Only this user (and root) may put sockets there; a directory that exists keeps its permissions.
 * @throws DfError `unavailable`
 */
function makePrivateDirectory(directory: string, uid: number): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const failure = DfError.from(error);
    throw new DfError('unavailable', `no place for the daemon's socket: ${failure.message}`, { cause: error });
  }
  if (!isTrustworthy(directory, uid)) {
    throw new DfError('unavailable', `no place for the daemon's socket: ${directory} belongs to another user`);
  }
}

/**
 * A lock file that holds the pid of its owner.
 *
 * It saves work, it does not protect anything: two daemons on one socket refuse each other. So the small race of two
 * dfgets that both find the lock of a dead one is left.
 */
class StartLock {
  private constructor(private readonly file: string) {}

  /** @returns undefined when another dfget holds it */
  static tryTake(file: string): StartLock | undefined {
    if (create(file)) return new StartLock(file);
    if (isHeld(file)) return undefined;
    const abandoned = `${file}.${process.pid}`;
    try {
      renameSync(file, abandoned);
      rmSync(abandoned, { force: true });
    } catch (error) {
      // Another dfget was faster.
      if (isErrnoException(error) && error.code === 'ENOENT') return undefined;
      throw error;
    }
    return create(file) ? new StartLock(file) : undefined;
  }

  release(): void {
    rmSync(this.file, { force: true });
  }
}

function create(file: string): boolean {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    writeSync(descriptor, String(process.pid));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (isErrnoException(error) && error.code === 'EEXIST') return false;
    throw new DfError('unavailable', `cannot lock the start of a daemon: ${DfError.from(error).message}`, {
      cause: error,
    });
  }
}

function isHeld(file: string): boolean {
  let pid: number;
  try {
    pid = Number(readFileSync(file, 'utf8'));
  } catch (error) {
    // Released meanwhile.
    if (isErrnoException(error) && error.code === 'ENOENT') return false;
    throw error;
  }
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrnoException(error) && error.code === 'EPERM';
  }
}
