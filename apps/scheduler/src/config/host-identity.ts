import { hostname, networkInterfaces } from 'node:os';

/**
 * The name under which this scheduler registers. Names that are no host names (an underscore in a container's name, for
 * instance) would be refused by every manager: such characters become dashes.
 */
export function defaultHostname(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return name === '' ? 'localhost' : name;
}

/** The first address that is not a loopback one; the loopback address on a machine without any other. */
export function defaultIp(isIpv6Preferred: boolean): string {
  const addresses = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter((entry) => !entry.internal && !entry.address.startsWith('fe80:'));
  const family = isIpv6Preferred ? 'IPv6' : 'IPv4';
  return addresses.find((entry) => entry.family === family)?.address ?? (isIpv6Preferred ? '::1' : '127.0.0.1');
}
