import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import type { ParentHost } from '../src/parents/parent-hosts.js';
import type { ParentSessionOptions } from '../src/parents/parent-session.js';

/** A store of its own with one task, of which no piece is there. */
export class EmptyTask {
  private constructor(
    private readonly dir: TempDir,
    private readonly store: PieceStore,
    readonly task: StoredTask,
  ) {}

  static async create(pieceCount: number, pieceLengthBytes: number): Promise<EmptyTask> {
    const dir = tempDir('session');
    const store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
    const task = await store.getOrCreate('standard', 'a'.repeat(64), {
      pieceLengthBytes,
      contentLengthBytes: pieceCount * pieceLengthBytes,
      url: 'http://origin/file',
      filteredQueryParams: [],
    });
    return new EmptyTask(dir, store, task);
  }

  async remove(): Promise<void> {
    await this.store.close();
    this.dir.remove();
  }
}

/** A parent on a host of its own. */
export function aParent(id: string): commonV2.Peer {
  return commonV2.Peer.fromPartial({ id, host: { id: `host-${id}`, ip: '127.0.0.1', port: 1 } });
}

/** A host that never falls silent and is worth the same whatever it is asked for. */
export function steadyHost(weight: number): ParentHost {
  return {
    weight: () => weight,
    isSilent: () => false,
    heard: () => {},
    pieceStarted: () => {},
    pieceEnded: () => {},
    release: () => {},
  };
}

/** For all pieces of a task, from hosts of which none is better, with nothing that collects or fetches. */
export function sessionOptions(
  task: StoredTask,
  own: Pick<ParentSessionOptions, 'candidates' | 'concurrency'> & Partial<ParentSessionOptions>,
): ParentSessionOptions {
  return {
    task,
    pieces: task.missingPieces(),
    isSequential: false,
    collector: { collect: unexpected },
    fetcher: { fetch: unexpected },
    hosts: { acquire: () => steadyHost(1) },
    limiters: [],
    banned: new Set(),
    onPiece: () => {},
    onPieceFailed: () => {},
    log: silentLogger(),
    ...own,
  };
}

function unexpected(): never {
  throw new Error('not expected here');
}
