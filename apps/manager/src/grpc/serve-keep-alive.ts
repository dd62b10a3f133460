import { managerV2 } from '@dragonfly/proto';
import { DfError } from '@dragonfly/errors';
import type { ServerReadableStream } from '@grpc/grpc-js';
import { DEFAULT_SILENCE_MS, type InstanceKey, type KeepAliveLease } from '../instances/keep-alive.js';

type KeepAliveCall = Pick<ServerReadableStream<managerV2.KeepAliveRequest, unknown>, 'once' | 'off'> &
  AsyncIterable<managerV2.KeepAliveRequest>;

/** Opens the lease of an instance, see `KeepAliveService.open`. */
export type OpenLease = (key: InstanceKey) => Promise<KeepAliveLease>;

/**
 * Serves one keep-alive stream until the instance ends it, falls silent or is gone. Messages are handled one after the
 * other; the transport holds further ones back.
 * @throws DfError as the lease does; `deadline-exceeded` after too long a silence; `invalid-argument` when a stream
 * speaks for another instance than it began with
 */
export async function serveKeepAlive(call: KeepAliveCall, open: OpenLease): Promise<void> {
  const gone = Promise.withResolvers<'gone'>();
  const onGone = (): void => gone.resolve('gone');
  call.once('cancelled', onGone);
  const messages = call[Symbol.asyncIterator]();
  let lease: KeepAliveLease | undefined;
  let first: InstanceKey | undefined;
  try {
    for (;;) {
      const next = await withinSilence(lease?.silenceLimitMs ?? DEFAULT_SILENCE_MS, messages.next(), gone.promise);
      if (next === 'gone' || next.done) {
        return;
      }
      const key = instanceKeyOf(next.value);
      if (!lease || !first) {
        first = key;
        lease = await open(key);
      } else if (!isSame(first, key)) {
        throw new DfError('invalid-argument', 'a keep-alive stream must speak for one instance');
      } else {
        await lease.touch();
      }
    }
  } finally {
    call.off('cancelled', onGone);
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
