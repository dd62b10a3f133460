import net from 'node:net';
import tls from 'node:tls';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { bareHost } from './proxy-settings.js';
import { MAX_HEAD_BYTES, parseResponseHead } from './response-head.js';
import { SocketReader } from './socket-reader.js';

/** TCP keepalive: finds a vanished origin or middlebox between requests. */
const KEEPALIVE_DELAY_MS = 60_000;

export interface TlsSettings {
  readonly rejectUnauthorized: boolean;
  /** PEM certificates that replace the default ones; undefined = the default ones. */
  readonly ca: readonly string[] | undefined;
}

/** Where a connection leads; two with the same key are interchangeable. */
export interface Route {
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSettings | undefined;
  readonly proxy: URL | undefined;
}

export interface ConnectOptions {
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Where to connect for a URL; requests with equal keys may share connections. */
export function routeOf(url: URL, proxy: URL | undefined, settings: TlsSettings): Route {
  const isTls = url.protocol === 'https:';
  const host = bareHost(url.hostname);
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const security = isTls ? `${settings.rejectUnauthorized} ${settings.ca?.join('') ?? ''}` : '';
  return {
    key: `${url.protocol}//${host}:${port} ${proxy?.href ?? ''} ${security}`,
    host,
    port,
    tls: isTls ? settings : undefined,
    proxy,
  };
}

/** One connection to an origin or its proxy. */
export class Connection {
  readonly socket: net.Socket;
  readonly reader: SocketReader;
  /** Requests sent before: a failure of a used connection may only mean that the origin closed it meanwhile. */
  requestCount = 0;

  private constructor(socket: net.Socket, reader: SocketReader) {
    this.socket = socket;
    this.reader = reader;
  }

  /**
   * @throws DfError `unavailable` (refused, no such host, bad certificate: the message says which),
   *   `deadline-exceeded` after `connectTimeoutMs`, `cancelled`
   */
  static async open(route: Route, options: ConnectOptions): Promise<Connection> {
    const timeout = AbortSignal.timeout(options.connectTimeoutMs);
    const signal = AbortSignal.any([options.signal, timeout]);
    try {
      return await openRoute(route, options, signal);
    } catch (error) {
      if (options.signal.aborted) throw DfError.from(options.signal.reason, 'cancelled');
      const where = `${route.proxy === undefined ? '' : `proxy ${route.proxy.host} for `}${route.host}:${route.port}`;
      if (timeout.aborted) {
        throw new DfError('deadline-exceeded', `${where}: no connection within ${options.connectTimeoutMs} ms`);
      }
      throw connectError(error, where);
    }
  }

  static of(socket: net.Socket, reader: SocketReader): Connection {
    return new Connection(socket, reader);
  }

  /** Ready for another request: nothing broken, nothing unasked for received. */
  get isReusable(): boolean {
    return !this.socket.destroyed && !this.reader.isOver && !this.reader.hasLeftover;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

async function openRoute(route: Route, options: ConnectOptions, signal: AbortSignal): Promise<Connection> {
  const reader = new SocketReader(options.idleTimeoutMs);
  const { proxy } = route;
  if (proxy !== undefined && route.tls !== undefined) {
    const tunnel = await openTunnel(proxy, route, options, signal);
    const secured = tls.connect({ socket: tunnel, ...tlsOptions(route, route.tls) });
    return whenConnected(secured, 'secureConnect', reader, 'data', signal);
  }
  const target = proxy === undefined ? { host: route.host, port: route.port } : addressOf(proxy);
  if (route.tls !== undefined) {
    const onread = reader.onread as tls.ConnectionOptions['onread' & keyof tls.ConnectionOptions];
    const secured = tls.connect({ ...target, ...tlsOptions(route, route.tls), ...{ onread } });
    return whenConnected(secured, 'secureConnect', reader, 'onread', signal);
  }
  return whenConnected(net.connect({ ...target, onread: reader.onread }), 'connect', reader, 'onread', signal);
}

function whenConnected(
  socket: net.Socket,
  event: 'connect' | 'secureConnect',
  reader: SocketReader,
  mode: 'onread' | 'data',
  signal: AbortSignal,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      socket.destroy();
      reject(DfError.from(signal.reason, 'cancelled'));
    };
    const onError = (error: Error): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    const onClose = (): void => onError(new Error('the connection was closed during set-up'));
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once(event, () => {
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
      socket.removeListener('close', onClose);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEPALIVE_DELAY_MS);
      reader.attach(socket, mode);
      resolve(Connection.of(socket, reader));
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

function tlsOptions(route: Route, settings: TlsSettings): tls.ConnectionOptions {
  return {
    servername: net.isIP(route.host) === 0 ? route.host : '',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: settings.rejectUnauthorized,
    ...(settings.ca === undefined ? {} : { ca: [...settings.ca] }),
  };
}

/** Asks an HTTP proxy for a TCP tunnel to the origin. */
async function openTunnel(proxy: URL, route: Route, options: ConnectOptions, signal: AbortSignal): Promise<net.Socket> {
  const reader = new SocketReader(options.idleTimeoutMs);
  const { socket } = await whenConnected(net.connect(addressOf(proxy)), 'connect', reader, 'data', signal);
  const onAbort = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const authority = `${net.isIP(route.host) === 6 ? `[${route.host}]` : route.host}:${route.port}`;
    const credentials = proxyAuthorization(proxy);
    socket.write(
      `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n` +
        `${credentials === undefined ? '' : `proxy-authorization: ${credentials}\r\n`}\r\n`,
    );
    const bytes = await reader.readThrough(
      Buffer.from('\r\n\r\n'),
      MAX_HEAD_BYTES,
      () => new Error('endless proxy answer'),
    );
    if (bytes === undefined) throw new Error('the proxy closed the connection');
    const head = parseResponseHead(bytes);
    if (head.statusCode !== 200) throw new Error(`the proxy answered ${head.statusCode} ${head.reason}`);
    socket.removeAllListeners('data');
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** @returns value for `Proxy-Authorization`, when the proxy URL names a user */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`;
}

function addressOf(proxy: URL): { host: string; port: number } {
  return { host: bareHost(proxy.hostname), port: proxy.port === '' ? 80 : Number(proxy.port) };
}

function connectError(error: unknown, where: string): DfError {
  const mapped = DfError.from(error, 'unavailable');
  const code = isErrnoException(error) ? error.code : undefined;
  // OpenSSL's verdicts on a certificate: trying again does not make it better.
  const isCertificate = code !== undefined && /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(code);
  const text = tlsReason(error) ?? mapped.message;
  return new DfError(mapped.code === 'internal' ? 'unavailable' : mapped.code, `${where}: ${text}`, {
    cause: error,
    details: code === undefined ? {} : { errno: code },
    retryable: mapped.retryable && !isCertificate,
  });
}

/**
 * What a failed handshake was about. OpenSSL's own message is a line of its error queue, with an address, a source file of
 * its build and an end of line.
 */
function tlsReason(error: unknown): string | undefined {
  const { reason } = error as { readonly reason?: unknown };
  if (!isErrnoException(error) || typeof reason !== 'string' || !error.code?.startsWith('ERR_SSL_')) return undefined;
  const isPlainHttp = error.code === 'ERR_SSL_WRONG_VERSION_NUMBER';
  return `TLS handshake failed: ${reason}${isPlainHttp ? ' (does the server speak TLS on this port?)' : ''}`;
}
