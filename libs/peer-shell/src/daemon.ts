import { PeerEngine, type PeerEngineOptions } from '@dragonfly/peer-engine';

/** The engine with its gRPC servers. */
export class Daemon {
  private constructor(
    readonly engine: PeerEngine,
    private readonly shell: { readonly uploadPort: number; stop(): Promise<void> },
  ) {}

  /**
   * Opens the data path and the socket of dfget first; the framework for gRPC is loaded while they work already.
   * @throws DfError when something cannot be had; nothing stays open then
   */
  static async start(options: PeerEngineOptions): Promise<Daemon> {
    const engine = await PeerEngine.start(options);
    try {
      const { GrpcShell } = await import('./grpc/grpc-shell.js');
      const shell = await GrpcShell.start(engine, options.log);
      await engine.join(shell.uploadPort);
      return new Daemon(engine, shell);
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  /** TCP port of the upload service. */
  get uploadPort(): number {
    return this.shell.uploadPort;
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    await this.shell.stop();
  }
}
