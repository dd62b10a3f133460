import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { hostPort, parseAddress } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { CertificateKeeper } from './certificate-keeper.js';
import { DEFAULT_JOIN_PORT, type SecuritySection } from './security-section.js';

export interface SecureLinksOptions {
  readonly security: SecuritySection;
  /** Used when `security.directory` is empty. */
  readonly defaultDirectory: string;
  /** `host:port` of the manager; undefined without one. */
  readonly managerAddress: string | undefined;
  /** Role, host name and address: what stands in the certificate. */
  readonly commonName: string;
  readonly names: readonly string[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Whether the configuration asks for certificates of the manager. `enable` alone, as files of the original may have it, does
 * not: there would be nothing to join with.
 */
export function wantsCertificates(security: SecuritySection, defaultDirectory: string): boolean {
  const { enable, joinToken, joinTokenFile, directory } = security;
  return (
    enable &&
    (joinToken !== '' || joinTokenFile !== '' || existsSync(path.join(directory || defaultDirectory, 'tls.crt')))
  );
}

/**
 * The certificates of this service, kept good for as long as it runs; undefined when the configuration does not ask for any.
 * Loads what it needs for that only then.
 * @throws DfError as `CertificateKeeper.start`; invalid-argument without a manager, or for a token file that cannot be read
 */
export async function secureLinks(options: SecureLinksOptions): Promise<CertificateKeeper | undefined> {
  const { security, defaultDirectory, managerAddress, log, signal } = options;
  if (!wantsCertificates(security, defaultDirectory)) return undefined;
  if (managerAddress === undefined) {
    throw new DfError('invalid-argument', 'security.enable: needs manager.addr, certificates come from the manager');
  }
  const { CertificateKeeper } = await import('./certificates.js');
  return CertificateKeeper.start(
    {
      directory: security.directory || defaultDirectory,
      subject: { commonName: options.commonName, names: [...new Set([...options.names, 'localhost', '127.0.0.1'])] },
      managerAddress,
      joinAddress: security.joinAddr || joinAddressOf(managerAddress),
      joinToken: tokenOf(security),
      log,
    },
    signal,
  );
}

function joinAddressOf(managerAddress: string): string {
  const parsed = parseAddress(managerAddress);
  if (parsed.kind !== 'tcp') {
    throw new DfError('invalid-argument', 'security.joinAddr: is needed for this manager.addr');
  }
  return hostPort(parsed.host, DEFAULT_JOIN_PORT);
}

function tokenOf({ joinToken, joinTokenFile }: SecuritySection): string {
  if (joinTokenFile === '' || joinToken !== '') return joinToken;
  try {
    return readFileSync(joinTokenFile, 'utf8').trim();
  } catch (error) {
    // Removed after it was used, as it should be: the certificate tells whether it is still needed.
    if (DfError.from(error).code === 'not-found') return '';
    throw new DfError('invalid-argument', `security.joinTokenFile: ${DfError.from(error).message}`, { cause: error });
  }
}
