import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { secureLinks } from '@dragonfly/manager-client';
import type { CertificateKeeper } from '@dragonfly/manager-client/certificates';
import { type ClientTls, LiveCertificates, type LiveServerTls, hostPort } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { DaemonConfig } from './config/schema.js';
import { splitAddress } from './config/sections.js';
import type { HostIdentity } from './host/identity.js';

/** Certificates of the links; undefined where a link is plain. */
export interface LinkTls {
  readonly manager: ClientTls | undefined;
  readonly scheduler: ClientTls | undefined;
  readonly parent: ClientTls | undefined;
  readonly upload: LiveServerTls | undefined;
  /** Where the certificates come from the manager. */
  readonly keeper?: CertificateKeeper;
}

interface Files {
  readonly caCert?: string | null | undefined;
  readonly cert?: string | null | undefined;
  readonly key?: string | null | undefined;
}

/**
 * The certificates of all links: one set of the manager's for all of them, or the files that are configured for each. Both
 * may change while the daemon runs.
 * @throws DfError `invalid-argument` naming the key and the file that cannot be read; as `secureLinks`
 */
export async function linkTls(
  config: DaemonConfig,
  identity: HostIdentity,
  commonName: string,
  log: Logger,
  signal: AbortSignal,
): Promise<LinkTls> {
  const split = config.manager.addr ? splitAddress(config.manager.addr) : undefined;
  const keeper = await secureLinks({
    security: config.security,
    defaultDirectory: path.join(config.storage.dir, 'certificates'),
    managerAddress: split === undefined ? undefined : hostPort(split.host, split.port),
    commonName,
    names: [identity.ip, identity.hostname],
    log,
    signal,
  });
  if (keeper !== undefined) {
    const { clientTls, serverTls } = keeper;
    return { manager: clientTls, scheduler: clientTls, parent: clientTls, upload: serverTls, keeper };
  }
  const [manager, scheduler, parent, upload] = await Promise.all([
    readAll('manager', config.manager, log),
    readAll('scheduler', config.scheduler, log),
    readAll('upload.client', config.upload.client, log),
    readAll('upload.server', config.upload.server, log),
  ]);
  return { manager, scheduler, parent, upload };
}

async function readAll(section: string, files: Files, log: Logger): Promise<LiveServerTls | undefined> {
  if (!files.caCert || !files.cert || !files.key) return undefined;
  try {
    const places = { caFile: files.caCert, certificateFile: files.cert, keyFile: files.key };
    return { live: await LiveCertificates.load(places, log) };
  } catch (caught) {
    throw new DfError('invalid-argument', `${section}: ${DfError.from(caught).message}`, { cause: caught });
  }
}
