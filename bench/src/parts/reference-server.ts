import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ChildService, freePort, waitFor } from '@dragonfly/testkit';

const READY_TIMEOUT_MS = 10_000;

/** A gRPC server in another language for the same conversations: the interoperability server of grpc-go. */
export class ReferenceServer {
  readonly service: ChildService;
  readonly address: string;

  private constructor(service: ChildService, address: string) {
    this.service = service;
    this.address = address;
  }

  /** @param program the server, or the folder in which it stands under the name that `go install` gives it */
  static async start(program: string): Promise<ReferenceServer> {
    const file = statSync(program).isDirectory() ? join(program, 'server') : program;
    if (!existsSync(file)) throw new Error(`no program ${file}`);
    const port = await freePort();
    const service = await ChildService.start({ name: 'reference', command: file, args: [`--port=${port}`] });
    await waitFor(() => answers(port), { what: 'the reference server to listen', timeoutMs: READY_TIMEOUT_MS });
    return new ReferenceServer(service, `127.0.0.1:${port}`);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
