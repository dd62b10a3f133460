import net from 'node:net';
import { DfError } from '@dragonfly/errors';

/** The usual three settings, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` hold them; read by whoever owns the process. */
export interface ProxySettings {
  /** Proxy for http origins. */
  readonly httpProxy?: string;
  /** Proxy for https origins (a tunnel). */
  readonly httpsProxy?: string;
  /** Comma separated: `*`, host names with their subdomains, IP addresses, networks (`10.0.0.0/8`), each with `:port`. */
  readonly noProxy?: string;
}

/**
 * The proxy for a URL.
 * @returns undefined = go there directly
 * @throws DfError `invalid-argument` for a proxy that is not an http URL
 */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const proxy = url.protocol === 'https:' ? settings.httpsProxy : settings.httpProxy;
  if (proxy === undefined || proxy === '' || isExempt(url, settings.noProxy ?? '')) return undefined;
  const parsed = URL.parse(proxy.includes('://') ? proxy : `http://${proxy}`);
  if (parsed === null || parsed.protocol !== 'http:') {
    throw new DfError('invalid-argument', 'proxy: must be an http:// URL');
  }
  return parsed;
}

function isExempt(url: URL, noProxy: string): boolean {
  const host = bareHost(url.hostname).toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  const withPort = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry);
  const pattern = bareHost(withPort?.[1] ?? entry);
  if (withPort !== null && withPort[2] !== port) return false;
  if (net.isIP(host) !== 0) return matchesAddress(pattern, host);
  const domain = pattern.replace(/^\*?\./, '');
  return host === domain || host.endsWith(`.${domain}`);
}

function matchesAddress(pattern: string, address: string): boolean {
  const [network = '', prefix] = pattern.split('/');
  const family = net.isIP(network);
  if (family === 0 || family !== net.isIP(address)) return false;
  const type = family === 6 ? 'ipv6' : 'ipv4';
  const bits = prefix === undefined ? (family === 6 ? 128 : 32) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === 6 ? 128 : 32)) return false;
  const list = new net.BlockList();
  list.addSubnet(network, bits, type);
  return list.check(address, type);
}

/** Without the brackets of an IPv6 literal. */
export function bareHost(hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
}
