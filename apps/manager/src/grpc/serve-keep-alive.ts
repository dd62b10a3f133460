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
 * @throws DfError as the lease does; `deadline-exceeded` after too long a silence; `unavailable` when the manager stops; `invalid-argument` when a stream
 * speaks for another instance than it began with
 */
export async function serveKeepAlive(call: KeepAliveCall, leases: LeaseSource): Promise<void> {
  const over = Promise.withResolvers<'gone'>();
  const onGone = (): void => over.resolve('gone');
  const onStop = (): void => over.reject(leases.stopping.reason as Error);
  call.once('cancelled', onGone);
  leases.stopping.addEventListener('abort', onStop, { once: true });
  const messages = call[Symbol.asyncIterator]();
  let lease: KeepAliveLease | undefined;
  let first: InstanceKey | undefined;
  try {
    for (;;) {
      const next = await withinSilence(lease?.silenceLimitMs ?? DEFAULT_SILENCE_MS, messages.next(), over.promise);
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

async function withinSilence<A, B>(limitMs: number, one: Promise<A>, other: Promise<B>): Promise<A | B> {
  const silence = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => silence.reject(new DfError('deadline-exceeded', `no keep-alive message for ${limitMs} ms`)),
    limitMs,
  );
  try {
    return await Promise.race([one, other, silence.promise]);
  } finally {
    clearTimeout(timer);
  }
}
