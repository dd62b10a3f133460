import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';

/** Certificates in PEM form. */
export interface ServerTls {
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** With it clients must show a certificate signed by this authority. */
  readonly clientCa?: Buffer;
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
}

export function serverCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = [{ cert_chain: tls.certificate, private_key: tls.key }];
  return ServerCredentials.createSsl(tls.clientCa ?? null, pair, tls.clientCa !== undefined);
}

export function clientCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.certificate ?? null);
}
