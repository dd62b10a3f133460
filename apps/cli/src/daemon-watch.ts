import { DfError } from '@dragonfly/errors';
import { LightClient } from '@dragonfly/light';

/** A daemon may have nothing to tell for long (a slow source, a queue); after this much silence it is asked. */
const QUIET_MS = 5_000;
/** A daemon that is only busy, on a machine that is only busy, answers within this. */
const ANSWER_TIMEOUT_MS = 10_000;

/** How long a daemon may be silent; tests have less patience. */
export interface DaemonPatience {
  /** @default 5000 */
  readonly quietMs?: number;
  /** @default 10000 */
  readonly answerTimeoutMs?: number;
}

/**
 * Finds out that a daemon is there but does nothing any more (stopped, or hanging in its file system). Its connections stay
 * open, so nothing else would end the wait for it.
 */
export class DaemonWatch {
  readonly #stop = new AbortController();
  readonly #quietMs: number;
  readonly #answerTimeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  #hasFrozen = false;

  /**
   * @param lightPath socket of the daemon
   * @param onFrozen called at most once
   */
  constructor(
    private readonly lightPath: string,
    private readonly onFrozen: () => void,
    patience: DaemonPatience = {},
  ) {
    this.#quietMs = patience.quietMs ?? QUIET_MS;
    this.#answerTimeoutMs = patience.answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
    this.heard();
  }

  /** The daemon has said something. */
  heard(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#timer !== undefined) {
      this.#timer.refresh();
      return;
    }
    this.#timer = setTimeout(() => void this.#ask(), this.#quietMs);
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  /** @returns in place of `error`, that the daemon has frozen, if it has */
  explain(error: unknown): DfError {
    return this.#hasFrozen ? daemonFrozen(error) : DfError.from(error);
  }

  async #ask(): Promise<void> {
    this.#timer = undefined;
    const { signal } = this.#stop;
    if (await isAnswering(this.lightPath, this.#answerTimeoutMs, signal)) {
      this.heard();
      return;
    }
    if (signal.aborted) return;
    this.#hasFrozen = true;
    this.onFrozen();
  }
}

/** For the way on it is the same as a daemon that has ended. */
export function daemonFrozen(cause: unknown): DfError {
  return new DfError('unavailable', 'the daemon does not answer any more', {
    cause,
    details: { isConnectionLost: true },
  });
}

/** On a connection of its own: the one of the download carries nothing else. */
async function isAnswering(lightPath: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  let client: LightClient | undefined;
  try {
    client = await LightClient.connect(lightPath, { timeoutMs, signal });
    await client.hello({ timeoutMs, signal });
    return true;
  } catch (error) {
    // Anything but silence: it is alive enough to refuse, or its connection breaks and tells so by itself.
    return DfError.from(error).code !== 'deadline-exceeded';
  } finally {
    client?.close();
  }
}
