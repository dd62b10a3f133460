import path from 'node:path';
import { secureLinks } from '@dragonfly/manager-client';
import type { CertificateKeeper } from '@dragonfly/manager-client/certificates';
import { type ClientTls, LiveCertificates, type LiveServerTls } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { dataDirOf, identityOf, type SchedulerConfig } from './config/scheduler-config.js';

/** Certificates of the links; undefined where a link is plain. */
export interface LinkTls {
  readonly server: LiveServerTls | undefined;
  readonly manager: ClientTls | undefined;
  readonly seedPeer: ClientTls | undefined;
  readonly peer: ClientTls | undefined;
  /** Where the certificates come from the manager. */
  readonly keeper?: CertificateKeeper;
}

interface TlsFiles {
  readonly caCert: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificates of all links: one set of the manager's for all of them, or the files that are configured for each. Both
 * may change while the scheduler runs.
 * @throws DfError invalid-argument naming a file that cannot be read; as `secureLinks`
 */
export async function linkTls(
  config: SchedulerConfig,
  isRoot: boolean,
  log: Logger,
  signal: AbortSignal,
): Promise<LinkTls> {
  const { ip, hostname } = identityOf(config, config.server.port);
  const keeper = await secureLinks({
    security: config.security,
    defaultDirectory: path.join(dataDirOf(config, isRoot), 'certificates'),
    managerAddress: config.manager.addr === '' ? undefined : config.manager.addr.replace(/^[a-z]+:\/\//, ''),
    commonName: 'scheduler',
    names: [ip, hostname],
    log,
    signal,
  });
  if (keeper !== undefined) {
    const { clientTls, serverTls } = keeper;
    return { server: serverTls, manager: clientTls, seedPeer: clientTls, peer: clientTls, keeper };
  }
  const [server, manager, seedPeer, peer] = await Promise.all(
    [config.server.tls, config.manager.tls, config.seedPeer.tls, config.peer.tls].map((files) => load(files, log)),
  );
  return { server, manager, seedPeer, peer };
}

async function load(files: TlsFiles | undefined, log: Logger): Promise<LiveServerTls | undefined> {
  if (files === undefined) return undefined;
  const { caCert: caFile, cert: certificateFile, key: keyFile } = files;
  return { live: await LiveCertificates.load({ caFile, certificateFile, keyFile }, log) };
}
