import { parseByteSize } from '@dragonfly/config';

type Tree = { readonly [key: string]: unknown };

interface Rule {
  /** Path in the old file. */
  readonly from: string;
  /** Path in today's file. */
  readonly to: string;
  /** Returns undefined when the value means "not set". */
  readonly convert: (value: unknown) => unknown;
}

const text = (value: unknown): unknown => (value === '' || value === null ? undefined : value);
const same = (value: unknown): unknown => (value === null ? undefined : value);
/** The old client read `20M` as 20 × 1024². */
const size = (value: unknown): unknown =>
  value === '' || value === null ? undefined : readOr(value, (word) => parseByteSize(word, { binaryPrefixes: true }));
const time = (value: unknown): unknown => (value === '' || value === null ? undefined : value);
/** A port was a number or a range `{start, end}`; the first of the range is taken. */
const firstPort = (value: unknown): unknown => (isTree(value) ? value['start'] : value);

/** What of the file of v2.0.8 has a meaning today. The rest is named in one warning. */
const RULES: readonly Rule[] = [
  { from: 'aliveTime', to: 'aliveTime', convert: time },
  { from: 'gcInterval', to: 'gc.interval', convert: time },
  { from: 'cacheDir', to: 'server.cacheDir', convert: text },
  { from: 'pluginDir', to: 'server.pluginDir', convert: text },
  { from: 'dataDir', to: 'storage.dir', convert: text },
  { from: 'keepStorage', to: 'storage.keep', convert: same },
  { from: 'scheduler.manager.refreshInterval', to: 'dynconfig.refreshInterval', convert: time },
  { from: 'scheduler.manager.seedPeer.enable', to: 'seedPeer.enable', convert: same },
  { from: 'scheduler.manager.seedPeer.clusterID', to: 'manager.seedPeerClusterID', convert: same },
  { from: 'scheduler.manager.seedPeer.keepAlive.interval', to: 'manager.keepAliveInterval', convert: time },
  { from: 'scheduler.scheduleTimeout', to: 'scheduler.scheduleTimeout', convert: time },
  { from: 'host.advertiseIP', to: 'host.ip', convert: text },
  { from: 'host.hostname', to: 'host.hostname', convert: text },
  { from: 'host.idc', to: 'host.idc', convert: text },
  { from: 'host.location', to: 'host.location', convert: text },
  { from: 'download.totalRateLimit', to: 'download.bandwidthLimit', convert: size },
  { from: 'download.pieceDownloadTimeout', to: 'download.pieceTimeout', convert: time },
  { from: 'download.concurrent.goroutineCount', to: 'download.backToSourceConcurrentPieceCount', convert: same },
  { from: 'download.downloadGRPC.unixListen.socket', to: 'download.server.socketPath', convert: text },
  { from: 'download.peerGRPC.tcpListen.port', to: 'upload.server.port', convert: firstPort },
  { from: 'download.peerGRPC.tcpListen.listen', to: 'upload.server.ip', convert: text },
  { from: 'download.prefetch', to: 'proxy.prefetch', convert: same },
  { from: 'upload.rateLimit', to: 'upload.bandwidthLimit', convert: size },
  { from: 'upload.tcpListen.port', to: 'storage.server.tcpPort', convert: firstPort },
  { from: 'upload.tcpListen.listen', to: 'storage.server.ip', convert: text },
  { from: 'storage.dataPath', to: 'storage.dir', convert: text },
  { from: 'storage.taskExpireTime', to: 'gc.policy.taskTTL', convert: time },
  { from: 'storage.diskGCThreshold', to: 'gc.policy.diskThreshold', convert: size },
  { from: 'storage.diskGCThresholdPercent', to: 'gc.policy.diskHighThresholdPercent', convert: same },
  { from: 'health.tcpListen.port', to: 'health.server.port', convert: firstPort },
  { from: 'health.tcpListen.listen', to: 'health.server.ip', convert: text },
  { from: 'proxy.tcpListen.port', to: 'proxy.server.port', convert: firstPort },
  { from: 'proxy.tcpListen.listen', to: 'proxy.server.ip', convert: text },
  { from: 'proxy.registryMirror.url', to: 'proxy.registryMirror.addr', convert: text },
  { from: 'network.enableIPv6', to: 'network.enableIPv6', convert: same },
  { from: 'announcer.schedulerInterval', to: 'scheduler.announceInterval', convert: time },
];

/** Keys that are read by name below, or mean the command line today. */
const READ_ELSEWHERE = [
  'scheduler.netAddrs',
  'scheduler.manager.enable',
  'scheduler.manager.netAddrs',
  'console',
  'verbose',
  'logDir',
];

/** Keys that only the file of v2.0.8 has; one of them tells it from today's. */
const MARKS = [
  'scheduler.netAddrs',
  'scheduler.manager',
  'download.peerGRPC',
  'download.downloadGRPC',
  'upload.tcpListen',
  'keepStorage',
  'gcInterval',
  'workHome',
];

/**
 * Turns the `dfget.yaml` / daemon file of v2.0.8 into today's keys; any other file is returned untouched.
 *
 * Empty strings meant "not set" there and are left out. Every key that has a value but no meaning today is named in one
 * warning.
 */
export function translateLegacy(raw: unknown): { readonly value: unknown; readonly warnings: readonly string[] } {
  if (!isTree(raw) || !MARKS.some((mark) => valueAt(raw, mark) !== undefined)) return { value: raw, warnings: [] };
  let value: Tree = {};
  for (const rule of RULES) {
    const old = valueAt(raw, rule.from);
    const converted = old === undefined ? undefined : rule.convert(old);
    if (converted !== undefined) value = withValueAt(value, rule.to, converted);
  }
  const highPercent = valueAt(value, 'gc.policy.diskHighThresholdPercent');
  if (typeof highPercent === 'number' && highPercent > 20 && highPercent <= 99) {
    // The old collector had one threshold and freed down to nothing in particular; keep today's distance of 20.
    value = withValueAt(value, 'gc.policy.diskLowThresholdPercent', highPercent - 20);
  } else if (highPercent === 0) {
    value = withValueAt(value, 'gc.policy.diskHighThresholdPercent', 99);
  }
  if (valueAt(raw, 'scheduler.manager.enable') === true) {
    const [address] = addressesIn(valueAt(raw, 'scheduler.manager.netAddrs'));
    if (address !== undefined) value = withValueAt(value, 'manager.addr', address);
  } else {
    value = withValueAt(value, 'scheduler.addrs', addressesIn(valueAt(raw, 'scheduler.netAddrs')));
  }
  const mapped = new Set([...RULES.map((rule) => rule.from), ...READ_ELSEWHERE]);
  const rest = leavesOf(raw, mapped).sort();
  return {
    value,
    warnings: [
      'the file has the format of Dragonfly 2.0; it was translated' +
        (rest.length === 0 ? '' : `, and these keys have no meaning any more: ${rest.join(', ')}`),
    ],
  };
}

/** `netAddrs` is a list of `{type, addr}`; `unix` entries were never usable for schedulers. */
function addressesIn(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    if (typeof entry === 'string') return [entry];
    const address = isTree(entry) ? entry['addr'] : undefined;
    return typeof address === 'string' ? [address] : [];
  });
}

/** Paths of everything in the old file that says something and that no rule covers. */
function leavesOf(tree: Tree, mapped: ReadonlySet<string>, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (mapped.has(path) || saysNothing(value)) return [];
    return isTree(value) ? leavesOf(value, mapped, path) : [path];
  });
}

/** Empty values and switched-off features need no warning. */
function saysNothing(value: unknown): boolean {
  return value === null || value === '' || value === false || (Array.isArray(value) && value.length === 0);
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueAt(tree: Tree, path: string): unknown {
  let value: unknown = tree;
  for (const key of path.split('.')) value = isTree(value) ? value[key] : undefined;
  return value;
}

function withValueAt(tree: Tree, path: string, value: unknown): Tree {
  const [key = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...tree, [key]: value };
  const child = tree[key];
  return { ...tree, [key]: withValueAt(isTree(child) ? child : {}, rest.join('.'), value) };
}

/** A value that cannot be read is passed on, so that the schema complains about it by name. */
function readOr(value: unknown, read: (text: string) => number): unknown {
  try {
    return read(String(value));
  } catch {
    return value;
  }
}
