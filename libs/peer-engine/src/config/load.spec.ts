import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDaemonConfig } from './load.js';

const ROOT = { uid: 0, home: '' };
const USER = { uid: 1000, home: '/home/u' };

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'peer-config-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function fileWith(text: string): Promise<string> {
  const file = join(directory, 'dfdaemon.yaml');
  await writeFile(file, text);
  return file;
}

describe('loadDaemonConfig', () => {
  it('has the defaults of today’s client', () => {
    const { config } = loadDaemonConfig({ env: {}, account: { uid: 0, home: '' } });
    expect(config).toMatchObject({
      aliveTime: 0,
      upload: { server: { port: 4000 }, bandwidthLimit: 50e9 },
      storage: { server: { tcpPort: 4005 }, keep: true, dir: '/var/lib/dragonfly' },
      download: {
        server: { socketPath: '/var/run/dragonfly/dfdaemon.sock', socketMode: 0o666 },
        lightSocketPath: '/var/run/dragonfly/dfdaemon.light.sock',
        concurrentPieceCount: 8,
        pieceTimeout: 360_000,
        smallTaskP2P: 'auto',
      },
      scheduler: { announceInterval: 300_000, maxScheduleCount: 5 },
      gc: { policy: { taskTTL: 30 * 86_400_000, diskHighThresholdPercent: 80, diskLowThresholdPercent: 60 } },
    });
  });

  it('gives an ordinary account its own places', () => {
    const { config } = loadDaemonConfig({ env: {}, account: USER });
    expect(config.storage.dir).toBe('/home/u/.local/share/dragonfly');
    expect(config.download.server.socketPath).toBe('/tmp/dragonfly-1000/dfdaemon.sock');
  });

  it('reads a file of today and lays the environment over it', async () => {
    const file = await fileWith(`
host: {ip: 10.0.0.7, hostname: node-7}
manager: {addr: 'http://manager:65003', seedPeerClusterID: 3}
upload: {server: {port: 65000}}
gc: {policy: {distHighThresholdPercent: 90}}
`);
    const { config, warnings } = loadDaemonConfig({
      file,
      env: { DRAGONFLY_DOWNLOAD__CONCURRENT_PIECE_COUNT: '16' },
      account: ROOT,
    });
    expect(config).toMatchObject({
      host: { ip: '10.0.0.7' },
      manager: { addr: 'http://manager:65003', seedPeerClusterID: 3 },
      upload: { server: { port: 65_000 } },
      download: { concurrentPieceCount: 16 },
      gc: { policy: { diskHighThresholdPercent: 90 } },
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    ['host: {ip: nowhere}', 'host.ip: must be an IP address'],
    ['upload: {server: {caCert: /a}}', 'upload.server: caCert, cert and key must be given together'],
    ['scheduler: {announceInterval: 30}', 'scheduler.announceInterval'],
    ['gc: {policy: {diskHighThresholdPercent: 50}}', 'gc.policy.diskLowThresholdPercent: must not be above'],
    ["download: {server: {socketMode: '0460'}}", 'download.server.socketMode: must be octal digits such as 0660'],
    ['download: {server: {socketMode: 0o660}}', 'download.server.socketMode: must be octal digits such as 0660'],
    ['manager: {addr: "not an address"}', 'manager.addr: must be host:port'],
    ['proxy: {rules: [{regex: "("}]}', 'proxy.rules[0].regex: must be a regular expression'],
    [
      `download: {server: {socketPath: /${'x'.repeat(107)}}}`,
      'download.server.socketPath: must have at most 107 bytes',
    ],
  ])('refuses %s by name', async (text, message) => {
    const file = await fileWith(text);
    expect(() => loadDaemonConfig({ file, env: {}, account: ROOT })).toThrow(message);
  });

  it.each([
    ["'0660'", 0o660],
    ['0660', 0o660],
    ['600', 0o600],
    ['0777', 0o777],
  ])('reads %s as the permissions of the sockets, in octal', async (text, mode) => {
    const file = await fileWith(`download: {server: {socketMode: ${text}}}`);
    expect(loadDaemonConfig({ file, env: {}, account: ROOT }).config.download.server.socketMode).toBe(mode);
    const env = { DRAGONFLY_DOWNLOAD__SERVER__SOCKET_MODE: text };
    expect(loadDaemonConfig({ env, account: ROOT }).config.download.server.socketMode).toBe(mode);
  });

  it('takes the name under which spans are exported', async () => {
    const file = await fileWith('tracing: {protocol: grpc, endpoint: "jaeger:4317", service-name: node-7}');
    const { config, warnings } = loadDaemonConfig({ file, env: {}, account: ROOT });
    expect(config.tracing['service-name']).toBe('node-7');
    expect(warnings).toEqual([]);
  });

  it('names an unknown key and the nearest known one', async () => {
    const file = await fileWith('download: {concurentPieceCount: 4}');
    const { warnings } = loadDaemonConfig({ file, env: {}, account: ROOT });
    expect(warnings).toEqual([expect.stringContaining('did you mean download.concurrentPieceCount?')]);
  });

  it('stays five minutes when dfget started it (seed 002-52)', () => {
    const { config } = loadDaemonConfig({ env: {}, account: ROOT, isOnDemand: true });
    expect(config.aliveTime).toBe(300_000);
  });
});

describe('the daemon file of the seed documents (v2.0.8)', () => {
  const LEGACY = `
aliveTime: 0s
gcInterval: 1m0s
workHome: ''
keepStorage: true
scheduler:
  manager: {enable: false}
  scheduleTimeout: 30s
  netAddrs: [{type: tcp, addr: '192.168.122.82:8002'}]
host: {advertiseIP: 192.168.122.82, location: '', idc: ''}
download:
  concurrent: {thresholdSize: 10M, goroutineCount: 4}
  totalRateLimit: 1024Mi
  perPeerRateLimit: 512Mi
  downloadGRPC: {unixListen: {socket: ''}}
  peerGRPC: {tcpListen: {port: 65000}}
upload: {rateLimit: 20M, tcpListen: {port: 65002}}
storage: {taskExpireTime: 6h, diskGCThreshold: 50Gi, diskGCThresholdPercent: 80}
health: {tcpListen: {port: 40901}}
proxy: {tcpListen: {port: 65001}}
`;

  it('is translated to today’s keys', async () => {
    const { config } = loadDaemonConfig({ file: await fileWith(LEGACY), env: {}, account: ROOT });
    expect(config).toMatchObject({
      host: { ip: '192.168.122.82' },
      scheduler: { addrs: ['192.168.122.82:8002'], scheduleTimeout: 30_000 },
      download: { bandwidthLimit: 1024 ** 3, backToSourceConcurrentPieceCount: 4 },
      upload: { server: { port: 65_000 }, bandwidthLimit: 20 * 1024 ** 2 },
      storage: { server: { tcpPort: 65_002 }, keep: true },
      gc: { interval: 60_000, policy: { taskTTL: 6 * 3_600_000, diskThreshold: 50 * 1024 ** 3 } },
      health: { server: { port: 40_901 } },
      proxy: { server: { port: 65_001 } },
    });
  });

  it('names the keys without a meaning in one warning', async () => {
    const { warnings } = loadDaemonConfig({ file: await fileWith(LEGACY), env: {}, account: ROOT });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('download.concurrent.thresholdSize, download.perPeerRateLimit');
    expect(warnings[1]).toContain('no effect in this version: proxy.server.port (');
  });
});

describe('keys that steer nothing', () => {
  it('are named when they differ from the default', async () => {
    const file = await fileWith(`
download: {protocol: quic, server: {requestBufferSize: 50}}
storage: {server: {quicPort: 4009}, cacheCapacity: 1GiB}
security: {enable: true}
`);
    const { warnings } = loadDaemonConfig({ file, env: {}, account: ROOT });
    expect(warnings).toHaveLength(2);
    expect(warnings[1]).toMatch(/^security.enable: without security.joinToken/);
    for (const key of ['download.protocol', 'storage.server.quicPort', 'storage.cacheCapacity']) {
      expect(warnings[0]).toContain(key);
    }
    expect(warnings[0]).not.toContain('requestBufferSize');
  });

  it('include https:// towards a manager without certificates', async () => {
    const file = await fileWith('manager: {addr: "https://manager:65003"}');
    const { warnings } = loadDaemonConfig({ file, env: {}, account: ROOT });
    expect(warnings).toEqual([expect.stringContaining('NOT encrypted')]);
  });

  it('are no reason to complain about a file of defaults', () => {
    expect(loadDaemonConfig({ env: {}, account: { uid: 0, home: '' } }).warnings).toEqual([]);
  });
});
