import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { ChannelCredentials, experimental, ServerCredentials } from '@grpc/grpc-js';
import type { LiveCertificates } from './live-certificates.js';

/** Certificates in PEM form. */
export interface ServerTls {
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** With it clients must show a certificate signed by this authority. */
  readonly clientCa?: Buffer;
}

/** Certificates that may be replaced while the server runs. */
export interface LiveServerTls {
  readonly live: LiveCertificates;
  /** Whether clients must show a certificate of the same authorities. @default true */
  readonly asksClients?: boolean;
  /** Whether a client's certificate has been revoked; serial in lower case hex. Its connections are closed then. */
  readonly isRevoked?: (serial: string) => boolean;
}

/** Certificates in PEM form. */
export interface ClientTls {
  /** @default the system's authorities */
  readonly ca?: Buffer;
  /** Our own certificate, for servers that ask for one. */
  readonly certificate?: Buffer;
  readonly key?: Buffer;
  /** Name expected in the server's certificate when it differs from the address. */
  readonly serverName?: string;
  /** Instead of all of these: certificates that may be replaced while the client lives. */
  readonly live?: LiveCertificates;
  /** With `live`: whether a server's certificate has been revoked; serial in lower case hex. */
  readonly isRevoked?: (serial: string) => boolean;
}

/** @param tls undefined: clear text */
export function serverCredentials(tls: ServerTls | LiveServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  if ('live' in tls) {
    const asksClients = tls.asksClients ?? true;
    // The own certificate first, then the authorities: the library names its parameters the other way round.
    return experimental.createCertificateProviderServerCredentials(
      tls.live,
      asksClients ? tls.live : null,
      asksClients,
    );
  }
  const pair = [{ cert_chain: tls.certificate, private_key: tls.key }];
  return ServerCredentials.createSsl(tls.clientCa ?? null, pair, tls.clientCa !== undefined);
}

/** @param tls undefined: clear text */
export function clientCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  if (tls.live) {
    const { isRevoked } = tls;
    const verify = isRevoked === undefined ? {} : { checkServerIdentity: refusing(isRevoked) };
    return experimental.createCertificateProviderChannelCredentials(tls.live, tls.live, verify);
  }
  return ChannelCredentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.certificate ?? null);
}

/** The usual check of names, after one of the serial. Connections that stand: `closeRevokedConnections`. */
function refusing(isRevoked: (serial: string) => boolean) {
  return (host: string, certificate: PeerCertificate): Error | undefined =>
    isRevoked(certificate.serialNumber.toLowerCase())
      ? new Error(`the certificate of ${host} has been revoked`)
      : checkServerIdentity(host, certificate);
}
