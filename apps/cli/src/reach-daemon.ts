import net from 'node:net';
import { DfError } from '@dragonfly/errors';
import { LightClient } from '@dragonfly/light';
import { candidateSockets, type DaemonSockets, type SocketChoice } from './sockets.js';

/** A socket of the same machine answers at once or not at all. */
const PROBE_TIMEOUT_MS = 3_000;

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
      if (await answers(sockets.grpcPath)) return { kind: 'grpc', sockets };
      const { errno } = failure.details;
      tried.push(`${sockets.grpcPath} (${typeof errno === 'string' ? errno : failure.code})`);
    }
  }
  return { kind: 'none', tried };
}

/** Whether something accepts connections there; what it speaks is found out later. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    const settle = (isAnswering: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isAnswering);
    };
    const timer = setTimeout(() => settle(false), PROBE_TIMEOUT_MS);
    socket.once('connect', () => settle(true));
    socket.on('error', () => settle(false));
  });
}
