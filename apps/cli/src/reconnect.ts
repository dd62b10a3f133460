import { setTimeout as sleep } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import { LightClient } from '@dragonfly/light';
import { answers, type DaemonAccess } from './reach-daemon.js';

/** A supervisor starts a daemon again within some seconds, and the daemon takes one or two until it listens. */
export const RETURN_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 50;

/**
 * Whether a download failed because its daemon is not there any more, and not for anything that the daemon said.
 * @param failure what the download ended with
 */
export async function isDaemonGone(failure: DfError, access: DaemonAccess): Promise<boolean> {
  const { isConnectionLost, isStopping } = failure.details;
  if (isConnectionLost === true || isStopping === true) return true;
  // By gRPC a lost connection and an answer of the daemon look alike.
  const mayBeLost = failure.code === 'unavailable' || failure.code === 'internal';
  return access.kind === 'grpc' && mayBeLost && !(await answers(access.sockets.grpcPath));
}

/**
 * Waits until a daemon answers again where one was.
 * @returns undefined when none did within {@link RETURN_TIMEOUT_MS}
 * @throws DfError `cancelled` only
 */
export async function daemonAgain(access: DaemonAccess, signal: AbortSignal): Promise<DaemonAccess | undefined> {
  const giveUpAtMs = performance.now() + RETURN_TIMEOUT_MS;
  while (performance.now() < giveUpAtMs) {
    await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => {
      throw new DfError('cancelled', 'cancelled', { cause: signal.reason });
    });
    const again = await tryOnce(access, signal);
    if (again !== undefined) return again;
  }
  return undefined;
}

/**
 * The same way as before: of a daemon that is starting the other socket may be there first. A connection alone proves
 * nothing: a process that is being killed may take one until the very end.
 */
async function tryOnce({ kind, sockets }: DaemonAccess, signal: AbortSignal): Promise<DaemonAccess | undefined> {
  if (kind === 'grpc') return (await answers(sockets.grpcPath)) ? { kind, sockets } : undefined;
  let client: LightClient | undefined;
  try {
    client = await LightClient.connect(sockets.lightPath, { signal });
    await client.hello({ signal });
    return { kind, sockets, client };
  } catch (error) {
    client?.close();
    const failure = DfError.from(error);
    if (failure.code === 'cancelled') throw failure;
    return undefined;
  }
}
