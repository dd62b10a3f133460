import { DfError } from '@dragonfly/errors';
import type { LightClient } from '@dragonfly/light';
import type { TraceCarrier } from '@dragonfly/telemetry/spans';
import { cureFor } from './cure.js';
import { daemonFrozen } from './daemon-watch.js';
import type { DownloadObserver, DownloadResult } from './download-result.js';
import { downloadByLight, type Caller } from './light-download.js';
import type { Log } from './log.js';
import type { DownloadOptions } from './options.js';
import { reachDaemon, type DaemonAccess } from './reach-daemon.js';
import { socketsToStart, type SocketChoice } from './sockets.js';
import type { DaemonProgram } from './start-daemon.js';

/** Daemons that one download may lose; a request that kills every daemon it is given to must come to an end. */
const MAX_LOST_DAEMONS = 3;

/** A daemon that is only busy says who it is within this. */
const HELLO_TIMEOUT_MS = 10_000;

/** What a download needs to know of the process it runs in. */
export interface FetchContext {
  readonly caller: Caller;
  readonly env: NodeJS.ProcessEnv;
  /** Started when no daemon runs. */
  readonly daemonProgram: DaemonProgram;
  /** Address of this machine, for when there is no daemon to tell one. */
  readonly localIp: () => string;
  readonly log: Log;
  /** For the user's eyes, whatever the log level. */
  readonly warn: (text: string) => void;
  /** Told once, when it is clear who downloads and before anything is. */
  readonly onReady: (peerIp: string) => void;
  /** Sent along to the daemon, so that what it does becomes part of the same trace. */
  readonly trace?: TraceCarrier | undefined;
}

/**
 * Makes the output by the best way there is: a running daemon, one that is started, the source itself.
 * @throws DfError of the last way tried
 */
export async function fetchFile(
  options: DownloadOptions,
  context: FetchContext,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<DownloadResult> {
  const ways = new Ways(options, context, observer, signal);
  if (options.isSourceOnly) {
    return ways.fromSource();
  }
  let access: DaemonAccess;
  try {
    access = await ways.daemon();
  } catch (error) {
    const failure = DfError.from(error);
    if (failure.code === 'cancelled') throw failure;
    if (options.disableBackToSource || options.forceHardLink) throw withAdvice(failure, options);
    context.warn(`${failure.message}; fetching from the source instead`);
    return ways.fromSource();
  }
  return ways.fromDaemon(access);
}

class Ways {
  constructor(
    private readonly options: DownloadOptions,
    private readonly context: FetchContext,
    private readonly observer: DownloadObserver,
    private readonly signal: AbortSignal,
  ) {}

  /** A daemon that answers, started if need be. */
  async daemon(): Promise<DaemonAccess> {
    const { options, context, signal } = this;
    const choice: SocketChoice = {
      endpoint: options.endpoint,
      workHome: options.workHome,
      env: context.env,
      uid: context.caller.uid,
    };
    const access = await reachDaemon(choice, signal);
    if (access.kind !== 'none') {
      context.log('debug', `daemon answers by ${access.kind} at ${access.sockets.grpcPath}`);
      return access;
    }
    context.log('debug', `no daemon answers: ${access.tried.join(', ')}`);
    if (!options.mayStartDaemon) {
      throw new DfError('unavailable', `no daemon answers on ${access.tried.join(', ')}`);
    }
    const sockets = socketsToStart(choice);
    context.log('info', `starting a daemon on ${sockets.grpcPath}`);
    const { startDaemon } = await import('./start-daemon.js');
    const client = await startDaemon(
      {
        program: context.daemonProgram,
        sockets,
        configFile: options.daemonConfigFile,
        workHome: options.workHome,
        logDirectory: options.logDirectory,
        env: context.env,
        uid: context.caller.uid,
      },
      signal,
    );
    return { kind: 'light', client, sockets };
  }

  /** By the daemon, by one that comes after it, and by whatever else is left when that fails. */
  async fromDaemon(first: DaemonAccess): Promise<DownloadResult> {
    let access = first;
    for (let lost = 0; ; lost += 1) {
      const outcome = await this.#tryDaemon(access);
      if (!(outcome instanceof DfError)) return outcome;
      const next = lost < MAX_LOST_DAEMONS ? await this.#daemonAfter(access, outcome) : undefined;
      if (next === undefined) return this.#cure(access, outcome);
      access = next;
    }
  }

  /** One attempt; its failure is for the caller to judge. */
  async #tryDaemon(access: DaemonAccess): Promise<DownloadResult | DfError> {
    try {
      return access.kind === 'light' ? await this.#byLight(access) : await this.#byGrpc(access, this.options);
    } catch (error) {
      return DfError.from(error);
    } finally {
      if (access.kind === 'light') access.client.close();
    }
  }

  /**
   * A daemon to go on with, when the failure was that the one before has gone: the same one started again, or one that
   * dfget starts. It has the pieces that the other had finished, and the cluster behind it; the source knows neither.
   */
  async #daemonAfter(access: DaemonAccess, failure: DfError): Promise<DaemonAccess | undefined> {
    const { daemonAgain, isDaemonGone, RETURN_TIMEOUT_MS } = await import('./reconnect.js');
    if (!(await isDaemonGone(failure, access))) return undefined;
    const { options, context, signal } = this;
    context.warn(`${failure.message}; waiting up to ${RETURN_TIMEOUT_MS / 1000} s for it to come back`);
    let next = await daemonAgain(access, signal);
    if (next === undefined && options.mayStartDaemon) {
      context.warn('it did not come back; looking for another one, or starting one');
      next = await this.#liveDaemon().catch((error: unknown) => {
        const reason = DfError.from(error);
        if (reason.code === 'cancelled') throw reason;
        context.warn(reason.message);
        return undefined;
      });
    }
    if (next !== undefined) context.warn('a daemon answers again; going on with what it has');
    return next;
  }

  /** One that says who it is: the socket of a frozen daemon takes connections as well. */
  async #liveDaemon(): Promise<DaemonAccess> {
    const access = await this.daemon();
    if (access.kind === 'light') {
      await this.#greet(access).catch((error: unknown) => {
        access.client.close();
        throw error;
      });
    }
    return access;
  }

  async #cure(access: DaemonAccess, failure: DfError): Promise<DownloadResult> {
    const cure = cureFor(failure, this.options);
    if (cure === 'none') throw failure;
    this.context.warn(
      `the daemon failed: ${failure.message}; ${cure === 'transfer' ? 'asking it for the bytes' : 'fetching from the source'} instead`,
    );
    return cure === 'transfer' ? this.#byTransfer(access) : this.fromSource();
  }

  async fromSource(): Promise<DownloadResult> {
    // Nothing is told twice; after a daemon that never said who it is, this is the first time.
    this.context.onReady(this.context.localIp());
    const { downloadDirectly } = await import('./direct-download.js');
    return downloadDirectly(this.options, this.context.env, this.observer, this.signal);
  }

  async #byLight(access: DaemonAccess & { kind: 'light' }): Promise<DownloadResult> {
    if (this.options.printsLines || this.options.transferFromDfdaemon) {
      const { host } = await this.#greet(access);
      this.context.onReady(host.ip);
    }
    if (this.options.transferFromDfdaemon) return this.#download(access, this.options);
    const { caller, trace } = this.context;
    return downloadByLight(access, this.options, { ...caller, trace }, this.observer, this.signal);
  }

  async #greet({ client }: DaemonAccess & { kind: 'light' }): ReturnType<LightClient['hello']> {
    try {
      return await client.hello({ timeoutMs: HELLO_TIMEOUT_MS, signal: this.signal });
    } catch (error) {
      // It accepted the connection, or the kernel did for it. That it is silent is not the time limit of the user.
      throw DfError.from(error).code === 'deadline-exceeded' ? daemonFrozen(error) : error;
    }
  }

  async #byGrpc(access: DaemonAccess, options: DownloadOptions): Promise<DownloadResult> {
    this.context.onReady(this.context.localIp());
    if (options.rateLimitBytesPerSecond !== undefined) {
      this.context.warn('this daemon has no --ratelimit for one download; its own limits apply');
    }
    return this.#download(access, options);
  }

  /** After the daemon could not write the output where it shall be. */
  async #byTransfer(access: DaemonAccess): Promise<DownloadResult> {
    const options = { ...this.options, transferFromDfdaemon: true };
    try {
      return await this.#download(access, options);
    } catch (error) {
      const failure = DfError.from(error);
      if (cureFor(failure, options) !== 'source') throw failure;
      this.context.warn(`the daemon failed: ${failure.message}; fetching from the source instead`);
      return this.fromSource();
    }
  }

  async #download(access: DaemonAccess, options: DownloadOptions): Promise<DownloadResult> {
    const { downloadByGrpc } = await import('./grpc-download.js');
    const { localIp, trace } = this.context;
    return downloadByGrpc(access.sockets.grpcPath, options, { localIp: localIp(), trace }, this.observer, this.signal);
  }
}

function withAdvice(failure: DfError, options: DownloadOptions): DfError {
  const flag = options.disableBackToSource ? '--disable-back-to-source' : '--force-hard-link';
  return new DfError(
    'failed-precondition',
    `${failure.message}. Start a daemon (dfget daemon), name its socket with --endpoint, or leave ${flag} out`,
    { cause: failure },
  );
}
