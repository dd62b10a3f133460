import { join } from 'node:path';

/** Where a daemon keeps things when the configuration does not say. */
export interface DefaultPlaces {
  /** Looked for in this order when no file is named. */
  readonly configFiles: readonly string[];
  readonly dynconfigFile: string;
  /** gRPC download service. Short, because a socket path may have 107 bytes. */
  readonly socketPath: string;
  readonly storageDir: string;
  readonly cacheDir: string;
  readonly logDir: string;
}

export interface Account {
  readonly uid: number;
  readonly home: string;
  /** `XDG_RUNTIME_DIR` when set. */
  readonly runtimeDir?: string | undefined;
}

/** Places of root are those of today's client; any other account gets its own, so that no root is needed. */
export function defaultPlaces(account: Account): DefaultPlaces {
  const configFiles = [
    ...(account.home === '' ? [] : [join(account.home, '.config/dragonfly/dfdaemon.yaml')]),
    '/etc/dragonfly/dfdaemon.yaml',
  ];
  if (account.uid === 0 || account.home === '') {
    return {
      configFiles,
      dynconfigFile: '/etc/dragonfly/dynconfig.yaml',
      socketPath: '/var/run/dragonfly/dfdaemon.sock',
      storageDir: '/var/lib/dragonfly',
      cacheDir: '/var/cache/dragonfly/dfdaemon',
      logDir: '/var/log/dragonfly/dfdaemon',
    };
  }
  const runtimeDir = account.runtimeDir ? join(account.runtimeDir, 'dragonfly') : `/tmp/dragonfly-${account.uid}`;
  return {
    configFiles,
    dynconfigFile: join(account.home, '.config/dragonfly/dynconfig.yaml'),
    socketPath: join(runtimeDir, 'dfdaemon.sock'),
    storageDir: join(account.home, '.local/share/dragonfly'),
    cacheDir: join(account.home, '.cache/dragonfly'),
    logDir: join(account.home, '.local/state/dragonfly'),
  };
}

/** Socket of the light protocol beside the gRPC one: `dfdaemon.sock` → `dfdaemon.light.sock`. */
export function lightSocketBeside(socketPath: string): string {
  return socketPath.endsWith('.sock') ? `${socketPath.slice(0, -'.sock'.length)}.light.sock` : `${socketPath}.light`;
}
