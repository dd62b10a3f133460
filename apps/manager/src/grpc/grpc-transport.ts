import { extCertificates, extNotify, extObjectStorage, managerV2 } from '@dragonfly/proto';
import { type CallCounts, hostPort, type LiveServerTls, LiveCertificates, type ServerTls } from '@dragonfly/rpc';
import { type DirectMethod, nestGrpcOptions } from '@dragonfly/rpc/nest';
import { readFileSync } from 'node:fs';
import type { Logger } from '../logger.js';
import type { ManagerSettings } from '../config/settings.js';
import type { Security } from '../certificates/security.js';

/** Longest wait for running calls when the manager stops, in ms. */
const STOP_GRACE_MS = 5_000;

/** The address that gRPC ports are bound to. */
export function grpcHost({ config }: ManagerSettings): string {
  return config.server.grpc.listenIP || (config.network.enableIPv6 ? '::' : '0.0.0.0');
}

/**
 * @param counts where calls are counted
 * @throws DfError invalid-argument naming a certificate file that cannot be used
 */
export async function grpcTransport(
  settings: ManagerSettings,
  log: Logger,
  security: Security | undefined,
  counts: CallCounts,
  direct: readonly DirectMethod[],
): Promise<ReturnType<typeof nestGrpcOptions>> {
  const { port, requestRateLimit } = settings.config.server.grpc;
  const host = grpcHost(settings);
  const tls = security?.tls ?? (await tlsOfFiles(settings, log));
  return nestGrpcOptions({
    services: [
      { definition: managerV2.ManagerService, name: 'manager.v2.Manager' },
      { definition: extNotify.NotifyServiceService, name: 'dragonfly.ext.v1.NotifyService' },
      { definition: extObjectStorage.ObjectStorageServiceService, name: 'dragonfly.ext.v1.ObjectStorageService' },
      ...(security
        ? [
            {
              definition: extCertificates.CertificateServiceService,
              name: 'dragonfly.ext.v1.CertificateService',
            },
          ]
        : []),
    ],
    url: hostPort(host, port.start),
    log,
    requestRateLimit,
    counts,
    graceMs: STOP_GRACE_MS,
    direct,
    ...(tls ? { tls } : {}),
  });
}

/** Files are taken over again when they change, unless there is no authority to check clients against. */
async function tlsOfFiles({ config }: ManagerSettings, log: Logger): Promise<ServerTls | LiveServerTls | undefined> {
  const { caCert, cert, key } = config.server.grpc.tls ?? {};
  if (!cert || !key) return undefined;
  if (!caCert) return { certificate: readFileSync(cert), key: readFileSync(key) };
  return { live: await LiveCertificates.load({ certificateFile: cert, keyFile: key, caFile: caCert }, log) };
}
