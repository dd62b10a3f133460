import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

export interface RawConnection {
  readonly socket: Socket;
  /** 0 for the first connection the origin got. */
  readonly connectionIndex: number;
  /** 0 for the first request on this connection. */
  readonly requestIndex: number;
  /** Request line and headers, without the empty line. */
  readonly head: string;
}

/** A TCP server that answers each request head with whatever bytes a spec wants. */
export class RawOrigin {
  readonly heads: string[] = [];
  connectionCount = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async start(answer: (connection: RawConnection) => void): Promise<RawOrigin> {
    const server = net.createServer({ noDelay: true });
    const origin = new RawOrigin(server);
    server.on('connection', (socket) => {
      origin.#sockets.add(socket);
      const connectionIndex = origin.connectionCount++;
      let requestIndex = 0;
      let received = '';
      socket.on('error', () => socket.destroy()); // clients of these specs hang up on purpose
      socket.on('close', () => origin.#sockets.delete(socket));
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
          const head = received.slice(0, end);
          received = received.slice(end + 4);
          origin.heads.push(head);
          answer({ socket, connectionIndex, requestIndex: requestIndex++, head });
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = '/file'): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
