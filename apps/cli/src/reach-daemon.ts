import net from 'node:net';
import { DfError } from '@dragonfly/errors';
import { LightClient } from '@dragonfly/light';
import { candidateSockets, type DaemonSockets, type SocketChoice } from './sockets.js';

/** A socket of the same machine answers at once or not at all. */
const PROBE_TIMEOUT_MS = 3_000;

/** What these mean for a socket that nobody answers on. */
const WORDS_OF_ERRNO: Readonly<Record<string, string>> = {
  ENOENT: 'no such socket',
  ECONNREFUSED: 'nobody listens',
  ENOTSOCK: 'not a socket',
  EACCES: 'permission denied',
  EINVAL: 'the path is too long for a socket',
};

/** How a daemon can be spoken to. */
export type DaemonAccess =
  | { readonly kind: 'light'; readonly client: LightClient; readonly sockets: DaemonSockets }
  | { readonly kind: 'grpc'; readonly sockets: DaemonSockets };

/** No daemon answers; one line per socket that was tried. */
export interface NoDaemon {
  readonly kind: 'none';
  readonly tried: readonly string[];
}

/**
 * Finds the first daemon that answers: on its light socket, else on its gRPC socket.
 * @throws DfError `cancelled` only
 */
export async function reachDaemon(choice: SocketChoice, signal: AbortSignal): Promise<DaemonAccess | NoDaemon> {
  const tried: string[] = [];
  for (const sockets of candidateSockets(choice)) {
    try {
      const client = await LightClient.connect(sockets.lightPath, { timeoutMs: PROBE_TIMEOUT_MS, signal });
      return { kind: 'light', client, sockets };
    } catch (error) {
      const failure = DfError.from(error);
      if (failure.code === 'cancelled') throw failure;
      const grpcFailure = await refusal(sockets.grpcPath);
      if (grpcFailure === undefined) return { kind: 'grpc', sockets };
      tried.push(`${sockets.grpcPath} (${grpcFailure})`);
    }
  }
  return { kind: 'none', tried };
}

/** Whether something accepts connections there; what it speaks is found out later. */
export async function answers(socketPath: string): Promise<boolean> {
  return (await refusal(socketPath)) === undefined;
}

/** @returns why nothing accepts connections there, in a word or two; undefined when something does */
function refusal(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    const settle = (reason: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reason);
    };
    const timer = setTimeout(() => settle('no answer'), PROBE_TIMEOUT_MS);
    socket.once('connect', () => settle(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(WORDS_OF_ERRNO[error.code ?? ''] ?? error.message));
  });
}
