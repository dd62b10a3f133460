import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { LightServer, type DoneMessage, type LightDownloadRequest, type LightHandler } from '@dragonfly/light';

const silentLog = { debug: () => undefined, warn: () => undefined };

/** A daemon that serves the light protocol only, and whose answers a test decides. */
export class FakeLightDaemon {
  private constructor(
    private readonly server: LightServer,
    /** In the order they came. */
    readonly requests: readonly LightDownloadRequest[],
  ) {}

  /** @param download makes the output and answers */
  static async start(path: string, download: LightHandler['download']): Promise<FakeLightDaemon> {
    const requests: LightDownloadRequest[] = [];
    const server = await LightServer.start({
      path,
      log: silentLog,
      handler: {
        hello: () => ({ version: '0.1.0', pid: process.pid, host: { ip: '172.21.0.3', hostname: 'peer' } }),
        download: (request, emit, signal) => {
          requests.push(request);
          return download(request, emit, signal);
        },
      },
    });
    return new FakeLightDaemon(server, requests);
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

/** A handler whose store holds one file: it links it out, as a daemon does with a task it has. */
export function serving(storeFile: string, content: Buffer): LightHandler['download'] {
  writeFileSync(storeFile, content);
  return (request, emit) => {
    emit({ type: 'started', taskId: 'task', peerId: 'peer', contentLength: content.length });
    if (request.output !== undefined) {
      const temporary = `${request.output}.link`;
      linkSync(storeFile, temporary);
      renameSync(temporary, request.output);
      // Renaming one link of a file to another link of it does nothing.
      rmSync(temporary, { force: true });
    }
    return Promise.resolve(done(content.length));
  };
}

export function done(contentLength: number): DoneMessage {
  return {
    type: 'done',
    outcome: 'linked',
    contentLength,
    taskId: 'task',
    traffic: { fromSource: 0, fromPeers: 0, fromSeed: 0, fromLocal: contentLength },
  };
}
