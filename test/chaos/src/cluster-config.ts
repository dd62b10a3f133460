import path from 'node:path';

/** `peer-1`, `peer-2` … are peers; `seed` is the seed peer. */
export type DaemonName = 'seed' | `peer-${number}`;
export type ServiceName = 'manager' | 'scheduler' | DaemonName;

/** A configuration file as it is written; JSON is YAML. */
export type Settings = Readonly<Record<string, unknown>>;

/** Ports that one service may use. */
export const PORTS_PER_SERVICE = 7;

export interface Place {
  readonly directory: string;
  /** First of {@link PORTS_PER_SERVICE} ports. */
  readonly firstPort: number;
}

export interface Addresses {
  readonly managerGrpc: string;
}

const HOST = '127.0.0.1';

/** gRPC port of any service. */
export function grpcPort({ firstPort }: Place): number {
  return firstPort;
}

/** Port on which a service tells whether it is ready. */
export function statusPort({ firstPort }: Place): number {
  return firstPort + 1;
}

/** Port on which a daemon serves pieces. */
export function piecePort({ firstPort }: Place): number {
  return firstPort + 2;
}

/** Configuration of a service that runs in `place`, before a test's own settings are laid over it. */
export function configOf(name: ServiceName, place: Place, { managerGrpc }: Addresses): Settings {
  switch (name) {
    case 'manager':
      return managerConfig(place);
    case 'scheduler':
      return schedulerConfig(place, managerGrpc);
    default:
      return daemonConfig(name, place, managerGrpc);
  }
}

function managerConfig(place: Place): Settings {
  return {
    server: {
      workHome: place.directory,
      grpc: { advertiseIP: HOST, listenIP: HOST, port: { start: grpcPort(place), end: grpcPort(place) } },
      rest: { addr: `${HOST}:${statusPort(place)}` },
    },
    database: {
      type: 'sqlite',
      sqlite: { path: path.join(place.directory, 'manager.db') },
      redis: { addrs: [] },
    },
    metrics: { enable: true, addr: `${HOST}:${place.firstPort + 2}` },
  };
}

function schedulerConfig(place: Place, managerGrpc: string): Settings {
  return {
    server: {
      advertiseIP: HOST,
      advertisePort: grpcPort(place),
      listenIP: HOST,
      port: grpcPort(place),
      host: 'chaos-scheduler',
      dataDir: place.directory,
    },
    manager: { addr: managerGrpc, schedulerClusterID: 1 },
    database: { redis: { addrs: [] } },
    metrics: { enable: true, addr: `${HOST}:${statusPort(place)}` },
  };
}

function daemonConfig(name: DaemonName, place: Place, managerGrpc: string): Settings {
  const { directory, firstPort } = place;
  return {
    host: { hostname: `chaos-${name}`, ip: HOST },
    server: { cacheDir: path.join(directory, 'cache') },
    download: {
      server: { socketPath: socketOf(place) },
      // Two connections to the origin at a time: a slow origin then leaves room to act in the middle of a download.
      backToSourceConcurrentPieceCount: 2,
      // Long enough for a test process that is busy itself: it is the origin.
      sourceStallTimeout: '5s',
    },
    upload: { server: { ip: HOST, port: grpcPort(place) } },
    manager: { addr: `http://${managerGrpc}`, ...(name === 'seed' ? { seedPeerClusterID: 1 } : {}) },
    ...(name === 'seed' ? { seedPeer: { enable: true, type: 'super' } } : {}),
    storage: { dir: storeOf(place), keep: true, server: { ip: HOST, tcpPort: piecePort(place) } },
    proxy: { server: { ip: HOST, port: firstPort + 3 } },
    health: { server: { ip: HOST, port: statusPort(place) } },
    metrics: { server: { ip: HOST, port: firstPort + 4 } },
    stats: { server: { ip: HOST, port: firstPort + 5 } },
  };
}

export function socketOf({ directory }: Place): string {
  return path.join(directory, 'dfdaemon.sock');
}

export function storeOf({ directory }: Place): string {
  return path.join(directory, 'store');
}

/** `changes` laid over `base`, section by section. */
export function mergeSettings(base: Settings, changes: Settings): Settings {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const before = merged[key];
    merged[key] = isSettings(before) && isSettings(value) ? mergeSettings(before, value) : value;
  }
  return merged;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
