import { splitAddress } from './sections.js';

/**
 * Keys of today's client that are read and checked, so that its files work, but steer nothing in this version, by what
 * they belong to. A section stands for all keys below it.
 */
const INEFFECTIVE: readonly (readonly [path: string, because: string])[] = [
  ['proxy', 'there is no proxy'],
  ['server.pluginDir', 'there are no plugins'],
  ['server.adaptiveRateLimit', 'requestRateLimit is the limit'],
  ['download.server.requestBufferSize', 'requests beyond requestRateLimit are refused at once'],
  ['upload.server.requestBufferSize', 'requests beyond requestRateLimit are refused at once'],
  ['download.protocol', 'pieces are fetched over TCP'],
  ['storage.server.quicPort', 'pieces are served over TCP'],
  ['storage.server.tcpFastopen', 'not offered by the platform'],
  ['storage.writeBufferSize', 'buffers are pooled'],
  ['storage.readBufferSize', 'buffers are pooled'],
  ['storage.cacheCapacity', 'there is no cache in memory but that of the system'],
  ['backend.putConcurrentChunkCount', 'nothing is uploaded'],
  ['backend.putChunkSize', 'nothing is uploaded'],
  ['backend.putTimeout', 'nothing is uploaded'],
  ['backend.enableHickoryDNS', 'the resolver of the system is asked'],
  ['gc.policy.pageCacheIdleTimeout', 'the page cache is left to the system'],
  ['stats.server', 'there is no stats server'],
];

/**
 * Keys that somebody set to something else than the default and that change nothing: a limit or a listener that is
 * silently missing is worse than none.
 * @param config what was read
 * @param defaults what is read from an empty file
 * @returns at most one warning for all of them, and one for each address that promises more than is done
 */
export function warnOfIneffectiveKeys(config: object, defaults: object): string[] {
  const idle = INEFFECTIVE.flatMap(([path, because]) => {
    const changed = changedLeaves(valueAt(config, path), valueAt(defaults, path), path);
    return changed.length === 0 ? [] : [`${changed.join(', ')} (${because})`];
  });
  return [
    ...(idle.length === 0 ? [] : [`these keys are set but have no effect in this version: ${idle.join('; ')}`]),
    ...plainDespiteHttps(config),
    ...enabledWithoutToken(config),
  ];
}

/** Files of the original have nothing but the switch. */
function enabledWithoutToken(config: object): string[] {
  const { enable, joinToken, joinTokenFile } = (valueAt(config, 'security') ?? {}) as Record<string, unknown>;
  if (enable !== true || joinToken || joinTokenFile) return [];
  return [
    'security.enable: without security.joinToken or security.joinTokenFile, only links that have certificates are encrypted',
  ];
}

/** `https://` names the protocol of today's client; whether a link is encrypted is decided by its certificates. */
function plainDespiteHttps(config: object): string[] {
  const address = valueAt(config, 'manager.addr');
  const isSecure = typeof address === 'string' && splitAddress(address)?.isSecure === true;
  if (!isSecure || valueAt(config, 'manager.caCert') || valueAt(config, 'security.enable') === true) return [];
  return ['manager.addr: https:// without manager.caCert, manager.cert and manager.key: the link is NOT encrypted'];
}

function changedLeaves(value: unknown, fallback: unknown, path: string): string[] {
  if (isTree(value)) {
    const before = isTree(fallback) ? fallback : {};
    return Object.keys(value).flatMap((key) => changedLeaves(value[key], before[key], `${path}.${key}`));
  }
  return JSON.stringify(value) === JSON.stringify(fallback) ? [] : [path];
}

function valueAt(tree: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isTree(value) ? value[key] : undefined), tree);
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
