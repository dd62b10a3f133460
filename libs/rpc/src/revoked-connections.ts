import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type Http2Session, type Http2Stream } from 'node:http2';
import { TLSSocket } from 'node:tls';

/*
 * A certificate that is revoked is refused when a connection is made and, by servers, at each call. Streams that are open
 * by then (an announced peer, somebody who waits for news) would go on for as long as their connection holds. So the
 * connections themselves are remembered with the certificate that they were made with, and closed.
 *
 * Neither Node's clients nor the library hand out their sessions; the channels on which Node tells of new streams do.
 */

const CHANNELS = { server: 'http2.server.stream.created', client: 'http2.client.stream.created' } as const;

/** Pause between two looks at the connections. */
export const REVOCATION_CHECK_INTERVAL_MS = 1_000;

/** Which end of its connections this process is. */
export type ConnectionSide = keyof typeof CHANNELS;

/** Connections of one side with the serial of the other end's certificate, in lower case hex. */
class TlsConnections {
  private readonly serials = new Map<Http2Session, string>();
  private readonly seen = new WeakSet<Http2Session>();
  private readonly predicates = new Set<(serial: string) => boolean>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly channel: string) {}

  closeRevoked(isRevoked: (serial: string) => boolean): () => void {
    if (this.predicates.size === 0) {
      subscribe(this.channel, this.notice);
      this.timer = setInterval(() => this.closeThose(), REVOCATION_CHECK_INTERVAL_MS).unref();
    }
    // Of its own: the same function may be given twice, and taken back once.
    const predicate = (serial: string): boolean => isRevoked(serial);
    this.predicates.add(predicate);
    return () => {
      if (!this.predicates.delete(predicate) || this.predicates.size > 0) return;
      unsubscribe(this.channel, this.notice);
      clearInterval(this.timer);
      this.serials.clear();
    };
  }

  private readonly notice = (message: unknown): void => {
    const { session } = (message as { stream: Http2Stream }).stream;
    if (session === undefined || this.seen.has(session)) return;
    this.seen.add(session);
    const serial = serialOf(session);
    if (serial === undefined) return;
    this.serials.set(session, serial);
    session.once('close', () => this.serials.delete(session));
  };

  private closeThose(): void {
    for (const [session, serial] of this.serials) {
      // gRPC clients of every language make PERMISSION_DENIED of this code.
      if (this.isRevoked(serial)) session.destroy(undefined, constants.NGHTTP2_INADEQUATE_SECURITY);
    }
  }

  private isRevoked(serial: string): boolean {
    for (const predicate of this.predicates) if (predicate(serial)) return true;
    return false;
  }
}

/** Of a certificate that was checked; undefined for connections without one. */
function serialOf({ socket }: Http2Session): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const serial = socket.getPeerCertificate().serialNumber as string | undefined;
  return serial?.toLowerCase();
}

const connections = {
  server: new TlsConnections(CHANNELS.server),
  client: new TlsConnections(CHANNELS.client),
};

/**
 * From now on the process closes its connections of that side, with every stream on them, within a moment of the other end's
 * certificate being revoked ({@link REVOCATION_CHECK_INTERVAL_MS}). Serials are unique, so that it does not matter which of
 * several servers or clients a connection belongs to.
 * @param isRevoked serial in lower case hex
 * @returns takes it back
 */
export function closeRevokedConnections(side: ConnectionSide, isRevoked: (serial: string) => boolean): () => void {
  return connections[side].closeRevoked(isRevoked);
}
