import { managerV2 } from '@dragonfly/proto';
import { DfError } from '@dragonfly/errors';
import { DEFAULT_SILENCE_MS, type InstanceKey, type KeepAliveLease } from '../instances/keep-alive.js';

/** What is used of grpc-js' `ServerReadableStream`. */
interface KeepAliveCall extends AsyncIterable<managerV2.KeepAliveRequest> {
  once(event: 'cancelled', listener: () => void): unknown;
  off(event: 'cancelled', listener: () => void): unknown;
}

/** What a stream needs of `KeepAliveService`. */
export interface LeaseSource {
  open(key: InstanceKey): Promise<KeepAliveLease>;
  readonly stopping: AbortSignal;
}

/**
 * Serves one keep-alive stream until the instance ends it, falls silent or is gone. Messages are handled one after the
 * other; the transport holds further ones back.
 * @throws DfError as the lease does; `deadline-exceeded` after too long a silence; `unavailable` when the manager stops;
 * `invalid-argument` when a stream speaks for another instance than it began with
 */
export async function serveKeepAlive(call: KeepAliveCall, leases: LeaseSource): Promise<void> {
  const interruption = new Interruption();
  const onGone = (): void => interruption.interrupt('gone');
  const onStop = (): void => interruption.interrupt(leases.stopping.reason as Error);
  call.once('cancelled', onGone);
  leases.stopping.addEventListener('abort', onStop, { once: true });
  if (leases.stopping.aborted) {
    onStop();
  }
  const messages = call[Symbol.asyncIterator]();
  let lease: KeepAliveLease | undefined;
  let first: InstanceKey | undefined;
  try {
    for (;;) {
      const next = await nextWithin(lease?.silenceLimitMs ?? DEFAULT_SILENCE_MS, messages, interruption);
      if (next === 'gone' || next.done) {
        return;
      }
      const key = instanceKeyOf(next.value);
      if (!lease || !first) {
        first = key;
        lease = await leases.open(key);
      } else if (!isSame(first, key)) {
        throw new DfError('invalid-argument', 'a keep-alive stream must speak for one instance');
      } else {
        await lease.touch();
      }
    }
  } finally {
    call.off('cancelled', onGone);
    leases.stopping.removeEventListener('abort', onStop);
    await lease?.close();
  }
}

/** Why a stream ends from outside: its caller is gone, or the error that it is to fail with. */
type Cause = 'gone' | Error;

/**
 * Ends whatever the stream waits for. No promise for the life of the stream: racing each wait against one would leave
 * something of every message on it, and streams live for months.
 */
class Interruption {
  private cause: Cause | undefined;
  private listener: ((cause: Cause) => void) | undefined;

  interrupt(cause: Cause): void {
    this.cause ??= cause;
    this.listener?.(this.cause);
  }

  /** Told at once when it has happened already. One listener. */
  listen(listener: ((cause: Cause) => void) | undefined): void {
    this.listener = listener;
    if (this.cause !== undefined) {
      listener?.(this.cause);
    }
  }
}

async function nextWithin<T>(
  limitMs: number,
  messages: AsyncIterator<T>,
  interruption: Interruption,
): Promise<IteratorResult<T> | 'gone'> {
  const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T> | 'gone'>();
  const timer = setTimeout(
    () => reject(new DfError('deadline-exceeded', `no keep-alive message for ${limitMs} ms`)),
    limitMs,
  );
  interruption.listen((cause) => (cause === 'gone' ? resolve(cause) : reject(cause)));
  messages.next().then(resolve, reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    interruption.listen(undefined);
  }
}

function instanceKeyOf(message: managerV2.KeepAliveRequest): InstanceKey {
  const { hostname, ip, clusterId } = message;
  switch (message.sourceType) {
    case managerV2.SourceType.SCHEDULER_SOURCE:
      return { kind: 'scheduler', hostname, ip, clusterId: Number(clusterId) };
    case managerV2.SourceType.SEED_PEER_SOURCE:
      return { kind: 'seed-peer', hostname, ip, clusterId: Number(clusterId) };
    default:
      throw new DfError('invalid-argument', 'KeepAliveRequest.SourceType: must be a scheduler or a seed peer');
  }
}

function isSame(a: InstanceKey, b: InstanceKey): boolean {
  return a.kind === b.kind && a.hostname === b.hostname && a.ip === b.ip && a.clusterId === b.clusterId;
}
