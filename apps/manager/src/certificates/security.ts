import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DfError } from '@dragonfly/errors';
import type { Database } from '@dragonfly/persistence';
import { closeRevokedConnections, hostPort, type LiveServerTls } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { DynamicModule } from '@nestjs/common';
import type { Clock } from '../clock.js';
import type { ManagerSettings } from '../config/settings.js';
import { secretFile } from '../config/secret-file.js';
import type { News } from '../notify/news.js';
import { Authorities } from './authorities.js';
import { CertificateCalls } from './certificate-calls.js';
import { CertificatesModule } from './certificates.module.js';
import { CertificatesService } from './certificates.service.js';
import { startJoinServer } from './join-server.js';
import { OwnCertificate, ownNames } from './own-certificate.js';

/** Shortest text of a sealing key; it should be random. */
const MIN_KEY_LENGTH = 32;

/** All that the switch `security.enable` brings. */
export interface Security {
  readonly authorities: Authorities;
  readonly certificates: CertificatesService;
  readonly calls: CertificateCalls;
  /** What of it the application serves. */
  module(platform: DynamicModule): DynamicModule;
  /** For the gRPC port. */
  readonly tls: LiveServerTls;
  /** Opens the port for those that join. @returns its number */
  serveJoining(host: string): Promise<number>;
  stop(): Promise<void>;
}

export interface SecurityOptions {
  readonly settings: ManagerSettings;
  readonly database: Database;
  readonly clock: Clock;
  readonly news: News;
  readonly log: Logger;
}

/** @throws DfError when the authority cannot be had, naming the key of the configuration */
export async function startSecurity({ settings, database, clock, news, log }: SecurityOptions): Promise<Security> {
  const { security } = settings.config;
  const { ca } = security;
  const authorities = new Authorities(database, clock, {
    ...(ca.cert && ca.key ? { given: { cert: ca.cert, key: ca.key } } : {}),
    sealingKey: sealingKey(security.encryptionKeyFile, settings.dataDirectory),
    overlapMs: security.authorityOverlap,
  });
  await authorities.ensure();
  const names = ownNames(security.names);
  const certificates = new CertificatesService(database, clock, authorities, news, {
    validityMs: security.certificateValidity,
    // Everybody is "localhost" to itself; the rest is the managers' alone.
    ownNames: security.names,
  });
  const directory = join(settings.dataDirectory, 'certificates');
  const own = await OwnCertificate.start({
    directory,
    names,
    authorities,
    certificates,
    log,
    onChangeOver: () => void news.publish('certificates'),
  });
  const live = await own.load();
  const calls = new CertificateCalls(authorities, certificates);
  const unsubscribe = news.subscribe((kind) => {
    if (kind === 'certificates') void own.upkeep().then(() => live.check());
  });
  const isRevoked = (serial: string): boolean => certificates.isRevoked(serial);
  const undoCutting = closeRevokedConnections('client', isRevoked);
  let close: (() => Promise<void>) | undefined;
  return {
    authorities,
    certificates,
    calls,
    module: (platform) => CertificatesModule.on(platform, { authorities, certificates, calls }),
    tls: { live, isRevoked },
    serveJoining: async (host) => {
      const server = await startJoinServer(hostPort(host, security.joinPort), live, calls, log);
      close = () => server.stop(0);
      return server.ports[0] ?? 0;
    },
    stop: async () => {
      unsubscribe();
      undoCutting();
      own.stop();
      await close?.();
    },
  };
}

function sealingKey(file: string, dataDirectory: string): Uint8Array {
  if (file === '') return Buffer.from(secretFile(join(dataDirectory, 'security.key'), 'sealing key'));
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    const reason = DfError.from(error).message;
    throw new DfError('invalid-argument', `security.encryptionKeyFile: cannot read ${file}: ${reason}`);
  }
  if (text.length < MIN_KEY_LENGTH) {
    throw new DfError(
      'invalid-argument',
      `security.encryptionKeyFile: ${file} must hold at least ${MIN_KEY_LENGTH} characters`,
    );
  }
  return Buffer.from(text);
}
