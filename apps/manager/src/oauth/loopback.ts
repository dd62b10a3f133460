import { isIP } from 'node:net';

/** Whether the URL names this machine over HTTP: there TLS protects nothing. */
export function isLoopback(address: string): boolean {
  const url = URL.parse(address);
  if (!url || !/^https?:$/.test(url.protocol)) {
    return false;
  }
  const { hostname } = url;
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
}
