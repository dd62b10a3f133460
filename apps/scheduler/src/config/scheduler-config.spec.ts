import { writeFileSync } from 'node:fs';
import { tempDir } from '@dragonfly/testkit';
import { dataDirOf, identityOf, listenIpOf, loadSchedulerConfig, statusAddressOf } from './scheduler-config.js';

function load(yaml: string, env: NodeJS.ProcessEnv = {}, strict = false) {
  using directory = tempDir('scheduler-config');
  const file = directory.file('scheduler.yaml');
  writeFileSync(file, yaml);
  return loadSchedulerConfig({ file, env, strict });
}

/** A scheduler.yaml with the keys that the original's documentation shows. */
const TODAYS = `
server:
  advertiseIP: 10.0.0.5
  advertisePort: 8003
  listenIP: 0.0.0.0
  port: 8002
  host: scheduler-0.example.com
  requestRateLimit: 4000
  logLevel: info
  logMaxSize: 1024
  logMaxAge: 7
  logMaxBackups: 20
  logDir: ''
  pluginDir: /usr/local/dragonfly/plugins
scheduler:
  algorithm: default
  backToSourceCount: 200
  retryBackToSourceLimit: 4
  retryLimit: 5
  retryInterval: 500ms
  gc:
    pieceDownloadTimeout: 30m
    peerGCInterval: 10s
    peerTTL: 24h
    taskGCInterval: 30m
    hostGCInterval: 5m
    hostTTL: 1h
database:
  redis:
    addrs: ['redis:6379']
    masterName: ''
    username: ''
    password: dragonfly
    brokerDB: 1
    backendDB: 2
dynConfig:
  refreshInterval: 1m
host:
  idc: dc1
  location: eu|de
manager:
  addr: manager:65003
  schedulerClusterID: 3
  keepAlive:
    interval: 5s
seedPeer:
  taskDownloadTimeout: 10h
job:
  enable: true
  globalWorkerNum: 500
  schedulerWorkerNum: 500
  localWorkerNum: 1000
metrics:
  enable: true
  addr: ':8000'
  enableHost: false
console: false
pprofPort: -1
tracing:
  protocol: grpc
  endpoint: jaeger:4317
  path: /v1/traces
  service-name: scheduler
network:
  enableIPv6: false
`;

it('reads a scheduler.yaml of today without a warning', () => {
  const { config, warnings } = load(TODAYS, {}, true);
  expect(warnings).toEqual([]);
  expect(config).toMatchObject({
    server: { advertiseIP: '10.0.0.5', port: 8002 },
    scheduler: { retryInterval: 500, gc: { peerTTL: 86_400_000 } },
    manager: { addr: 'manager:65003', schedulerClusterID: 3, keepAlive: { interval: 5000 } },
  });
  expect(identityOf(config, 8002)).toEqual({ hostname: 'scheduler-0.example.com', ip: '10.0.0.5', port: 8003 });
});

it('reads a template whose sections and paths are empty as if they were left out', () => {
  const files = "{caCert: '', cert: '', key: ''}";
  const { config, warnings } = load(
    `server:\n  workHome:\n  logDir:\n  tls: ${files}\nmanager:\n  tls: ${files}\nseedPeer:\n  tls:\nscheduler:\n  gc:\njob:\n`,
  );
  expect(warnings).toEqual([]);
  expect(config).toEqual(load('').config);
});

it('has the defaults of the original, and ours where the original has no key', () => {
  const { config } = load('');
  expect(config).toMatchObject({
    server: { port: 8002, requestRateLimit: 4000, logLevel: 'info' },
    scheduler: {
      algorithm: 'default',
      backToSourceCount: 200,
      retryBackToSourceLimit: 4,
      retryLimit: 5,
      retryInterval: 500,
      waitTimeout: 25_000,
      sourceLease: { stallTimeout: 60_000 },
      gc: {
        pieceDownloadTimeout: 1_800_000,
        peerGCInterval: 10_000,
        peerTTL: 86_400_000,
        taskGCInterval: 1_800_000,
        hostGCInterval: 300_000,
        hostTTL: 3_600_000,
      },
    },
    dynConfig: { refreshInterval: 60_000 },
    manager: { addr: '', schedulerClusterID: 1, keepAlive: { interval: 5000 } },
    seedPeer: { taskDownloadTimeout: 36_000_000 },
    metrics: { enable: false, addr: ':8000' },
  });
  expect(listenIpOf(config)).toBe('0.0.0.0');
  expect(statusAddressOf(config)).toEqual({ host: '0.0.0.0', port: 8000 });
  const identity = identityOf(config, 8002);
  expect(identity.port).toBe(8002);
  expect(identity.hostname).toMatch(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/);
  expect(identity.ip).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
});

it('two schedulers on one machine differ by server.host', () => {
  const { config } = load('server: {host: box-scheduler-2, port: 8012}');
  expect(identityOf(config, 8012)).toMatchObject({ hostname: 'box-scheduler-2', port: 8012 });
});

it.each([
  ['server: {port: 70000}', /server\.port: must be 0\.\.65535/],
  ['server: {advertisePort: 80}', /server\.advertisePort: .*1024/],
  ['scheduler: {retryInterval: 5}', /scheduler\.retryInterval: "5" is not a duration/],
  ['scheduler: {algorithm: ml}', /scheduler\.algorithm/],
  ['manager: {schedulerClusterID: 0}', /manager\.schedulerClusterID/],
  ['metrics: {addr: here}', /metrics\.addr: must be host:port/],
  ['scheduler: {split: [{name: ml, percent: 5}]}', /scheduler\.split\[0\]\.name/],
  [
    'scheduler: {split: [{name: random, percent: 60}, {name: adaptive, percent: 50}]}',
    /scheduler\.split: the percentages must not add up to more than 100/,
  ],
  ['server: {tls: {cert: a.pem}}', /server\.tls: must name the files caCert, cert and key/],
])('refuses %s and names the key', (yaml, message) => {
  expect(() => load(yaml)).toThrow(message);
});

it('an unknown key is a warning with the nearest known one, and an error when strict', () => {
  expect(load('scheduler: {retryIntervall: 1s}').warnings).toEqual([
    expect.stringMatching(/scheduler\.retryIntervall: unknown key, did you mean .*retryInterval/),
  ]);
  expect(() => load('scheduler: {retryIntervall: 1s}', {}, true)).toThrow(/retryIntervall/);
});

it('warns by name of settings of the Redis pool that change nothing, and not of those that templates spell out', () => {
  const warningsOf = (redis: string): readonly string[] => load(`database: {redis: {${redis}}}`, {}, true).warnings;
  expect(warningsOf('poolSize: 20, poolTimeout: 10s')).toEqual([]);
  expect(warningsOf('poolSize: 100')).toEqual([expect.stringMatching(/^database\.redis\.poolSize: there is no pool/)]);
  expect(warningsOf('poolSize: 100, poolTimeout: 1s')).toEqual([
    expect.stringMatching(/^database\.redis\.poolSize, database\.redis\.poolTimeout: there is no pool/),
  ]);
});

it('keys can be set by the environment', () => {
  const { config } = load('', {
    DRAGONFLY_SERVER__PORT: '9002',
    DRAGONFLY_MANAGER__SCHEDULER_CLUSTER_ID: '5',
    DRAGONFLY_SCHEDULER__SOURCE_LEASE__STALL_TIMEOUT: '5s',
  });
  expect(config.server.port).toBe(9002);
  expect(config.manager.schedulerClusterID).toBe(5);
  expect(config.scheduler.sourceLease.stallTimeout).toBe(5000);
});

it('keeps its data where the system or the user keeps such things', () => {
  const { config } = load('');
  expect(dataDirOf(config, true)).toBe('/var/lib/dragonfly/scheduler');
  expect(dataDirOf(config, false)).toMatch(/\.local\/share\/dragonfly\/scheduler$/);
  expect(dataDirOf(load('server: {dataDir: /data}').config, true)).toBe('/data');
});

it('listens on all IPv6 addresses when told to', () => {
  const { config } = load("network: {enableIPv6: true}\nmetrics: {addr: '[::1]:9000'}");
  expect(listenIpOf(config)).toBe('::');
  expect(statusAddressOf(config)).toEqual({ host: '::1', port: 9000 });
});
