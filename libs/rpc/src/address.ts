import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';

/** Longest path of a unix socket: `sun_path` has 108 bytes, the last is 0. */
export const MAX_UNIX_PATH_BYTES = 107;

/** How long a socket that accepts but does not answer may hold up a start. */
const PROBE_TIMEOUT_MS = 1000;

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * Reads `host:port`, `[ipv6]:port` or `unix:/absolute/path`.
 * @throws DfError invalid-argument
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) {
    const socketPath = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    if (!path.isAbsolute(socketPath)) {
      throw new DfError('invalid-argument', `address ${text}: the path of a unix socket must be absolute`);
    }
    const lengthBytes = Buffer.byteLength(socketPath);
    if (lengthBytes > MAX_UNIX_PATH_BYTES) {
      throw new DfError(
        'invalid-argument',
        `unix socket path is ${lengthBytes} bytes long, at most ${MAX_UNIX_PATH_BYTES} are possible: ${socketPath}`,
      );
    }
    return { kind: 'unix', path: socketPath };
  }
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65535) {
    throw new DfError('invalid-argument', `address ${text}: expected host:port, [ipv6]:port or unix:/path`);
  }
  return { kind: 'tcp', host, port };
}

/** The target string of grpc-js for an address. */
export function grpcTarget(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return hostPort(address.host, address.port);
}

/** `host:port`, or `[ipv6]:port`: what `parseAddress` reads. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Makes a path free to bind: creates its directory and removes the socket of a process that is gone.
 * @throws DfError `already-exists` when somebody listens there, or the path is something other than a socket
 */
export async function prepareUnixSocket(socketPath: string): Promise<void> {
  await mkdir(path.dirname(socketPath), { recursive: true });
  try {
    const stat = await lstat(socketPath);
    if (!stat.isSocket()) {
      throw new DfError('already-exists', `${socketPath} exists and is not a socket; remove it or choose another path`);
    }
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return;
    throw error;
  }
  if (await isListening(socketPath)) {
    throw new DfError('already-exists', `another process listens on ${socketPath}`);
  }
  await unlink(socketPath);
}

async function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(true));
    socket.once('connect', () => settle(true));
    // Refused: the file outlived its process. EACCES and the like: somebody else's, leave it alone.
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'));
  });
}
