/**
 * Several whole daemons in one process, so that a crowd of them fits on a small machine: each has its own store, ports,
 * host name and socket. Run by Node as it is; arguments are one JSON object. Says `farm is ready` when all are announced.
 */
import { GrpcServer } from '@dragonfly/rpc';
import { createLogger } from '@dragonfly/telemetry';
import { loadDaemonConfig, PEER_PROFILE, PeerEngine } from '@dragonfly/peer-engine';

interface FarmOptions {
  readonly directory: string;
  readonly names: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
}

const { directory, names, settings } = JSON.parse(process.argv[2] ?? '') as FarmOptions;
const log = createLogger({ service: 'farm', level: 'info' });

async function startDaemon(name: string): Promise<void> {
  const { config } = loadDaemonConfig({
    account: { uid: 0, home: '' },
    env: {
      DRAGONFLY_HOST__IP: '127.0.0.1',
      DRAGONFLY_HOST__HOSTNAME: name,
      DRAGONFLY_UPLOAD__SERVER__PORT: '0',
      DRAGONFLY_STORAGE__SERVER__TCP_PORT: '0',
      DRAGONFLY_STORAGE__DIR: `${directory}/${name}/store`,
      DRAGONFLY_SERVER__CACHE_DIR: `${directory}/${name}/cache`,
      DRAGONFLY_DOWNLOAD__SERVER__SOCKET_PATH: `${directory}/${name}.sock`,
      DRAGONFLY_HEALTH__SERVER__PORT: '0',
      DRAGONFLY_METRICS__SERVER__PORT: '0',
      // The disk of the machine may be fuller than a daemon likes.
      DRAGONFLY_GC__POLICY__DISK_HIGH_THRESHOLD_PERCENT: '99',
      DRAGONFLY_GC__POLICY__DISK_LOW_THRESHOLD_PERCENT: '98',
      // So that some pieces are finished, and with others, when a reader dies.
      DRAGONFLY_DOWNLOAD__BACK_TO_SOURCE_CONCURRENT_PIECE_COUNT: '2',
      DRAGONFLY_DYNCONFIG__PATH: `${directory}/none.yaml`,
      ...settings,
    },
  });
  const engine = await PeerEngine.start({ profile: PEER_PROFILE, config, log, version: '0.1.0' });
  const { upload } = engine.bindings();
  const server = await GrpcServer.start({ services: [upload], addresses: ['127.0.0.1:0'], log });
  await engine.join(server.ports[0] ?? 0);
  await engine.readiness.whenReady(AbortSignal.timeout(60_000));
}

for (const name of names) await startDaemon(name);
process.stdout.write('farm is ready\n');
