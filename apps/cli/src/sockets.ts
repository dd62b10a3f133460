import { existsSync, lstatSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The two sockets of a daemon. */
export interface DaemonSockets {
  /** gRPC download service. */
  readonly grpcPath: string;
  /** Light protocol. */
  readonly lightPath: string;
}

const GRPC_SUFFIX = '.sock';
const LIGHT_SUFFIX = '.light.sock';

/** Socket of a daemon that runs as a service of the machine. */
const SYSTEM_SOCKET = '/var/run/dragonfly/dfdaemon.sock';
const SOCKET_NAME = 'dfdaemon.sock';

/** The pair for a path that a user gave, which may be either of the two. */
export function socketsOf(givenPath: string): DaemonSockets {
  if (givenPath.endsWith(LIGHT_SUFFIX)) {
    return { grpcPath: givenPath.slice(0, -LIGHT_SUFFIX.length) + GRPC_SUFFIX, lightPath: givenPath };
  }
  const lightPath = givenPath.endsWith(GRPC_SUFFIX)
    ? givenPath.slice(0, -GRPC_SUFFIX.length) + LIGHT_SUFFIX
    : `${givenPath}.light`;
  return { grpcPath: givenPath, lightPath };
}

export interface SocketChoice {
  readonly endpoint: string | undefined;
  readonly workHome: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Of the caller; 0 is root. */
  readonly uid: number;
}

/**
 * Where a daemon may listen, in the order to try.
 *
 * A given endpoint is the only one. Otherwise: the cluster of this working copy (`$DRAGONFLY_HOME/socket` holds the path),
 * the daemon of `--workhome`, the one of the machine, the one dfget starts for this user.
 */
export function candidateSockets(choice: SocketChoice): DaemonSockets[] {
  if (choice.endpoint !== undefined) return [socketsOf(choice.endpoint)];
  const paths = [recordedSocket(choice.env['DRAGONFLY_HOME']), workHomeSocket(choice.workHome), SYSTEM_SOCKET];
  const own = ownSocket(choice);
  if (isTrustworthy(path.dirname(own), choice.uid)) paths.push(own);
  return [...new Set(paths.filter((socket) => socket !== undefined))].map(socketsOf);
}

/** Where a daemon that dfget starts shall listen. */
export function socketsToStart(choice: SocketChoice): DaemonSockets {
  return socketsOf(choice.endpoint ?? workHomeSocket(choice.workHome) ?? ownSocket(choice));
}

/** The default place of a daemon under this account; the same rule as the daemon's own. */
function ownSocket(choice: SocketChoice): string {
  if (choice.uid === 0) return SYSTEM_SOCKET;
  const runtimeDirectory = choice.env['XDG_RUNTIME_DIR'];
  return path.join(
    runtimeDirectory ? path.join(runtimeDirectory, 'dragonfly') : `/tmp/dragonfly-${choice.uid}`,
    SOCKET_NAME,
  );
}

function workHomeSocket(workHome: string | undefined): string | undefined {
  return workHome === undefined ? undefined : path.join(workHome, SOCKET_NAME);
}

function recordedSocket(home: string | undefined): string | undefined {
  if (home === undefined || home === '') return undefined;
  const file = path.join(home, 'socket');
  // The usual case outside a working copy; asking first costs less than the exception.
  if (!existsSync(file)) return undefined;
  const recorded = readFileSync(file, 'utf8').trim();
  return path.isAbsolute(recorded) ? recorded : undefined;
}

/**
 * Whether a directory is this user's or root's. In a place like /tmp another user could have put a socket of his own
 * where ours would be, and would be told URLs and credentials.
 */
export function isTrustworthy(directory: string, uid: number): boolean {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && (stat.uid === uid || stat.uid === 0);
}
