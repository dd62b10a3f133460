import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A way to a server that can be cut or go silent, as networks and servers do. */
export class BreakableProxy {
  private readonly sockets = new Set<Socket>();
  private state: 'open' | 'cut' | 'silent' = 'open';

  private constructor(
    private readonly server: Server,
    private readonly targetPort: number,
  ) {}

  static async to(targetPort: number): Promise<BreakableProxy> {
    const server = createServer();
    const proxy = new BreakableProxy(server, targetPort);
    server.on('connection', (socket) => proxy.accept(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Every connection breaks, and new ones do at once. */
  cut(): void {
    this.state = 'cut';
    this.drop();
  }

  /** Connections stay, and nothing comes through any more. */
  silence(): void {
    this.state = 'silent';
    for (const socket of this.sockets) {
      socket.pause();
      socket.unpipe();
    }
  }

  /** New connections work again; those of the silence do not. */
  mend(): void {
    this.state = 'open';
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private drop(): void {
    for (const socket of this.sockets) {
      socket.destroy();
    }
  }

  private accept(socket: Socket): void {
    this.keep(socket);
    if (this.state === 'cut') {
      socket.destroy();
    } else if (this.state === 'open') {
      const target = connect(this.targetPort, '127.0.0.1');
      this.keep(target);
      socket.pipe(target).pipe(socket);
      socket.on('close', () => target.destroy());
      target.on('close', () => socket.destroy());
    }
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    // What the other side sees is what the test is about.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.sockets.delete(socket));
  }
}
