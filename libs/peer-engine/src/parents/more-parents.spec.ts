import { DfError } from '@dragonfly/errors';
import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { crc32 } from '@dragonfly/vortex';
import { ParentSession } from './parent-session.js';
import type { OfferedPiece, PieceCollector } from './piece-collector.js';
import type { PieceFetch } from './piece-fetcher.js';

const PIECE = 4 * 1024 * 1024;
const PIECES = [0, 1, 2, 3];

let dir: TempDir;
let store: PieceStore;
let task: StoredTask;

beforeEach(async () => {
  dir = tempDir('session');
  store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
  task = await store.getOrCreate('standard', 'a'.repeat(64), {
    pieceLengthBytes: PIECE,
    contentLengthBytes: PIECES.length * PIECE,
    url: 'http://origin/file',
    filteredQueryParams: [],
  });
});

afterEach(async () => {
  await store.close();
  dir.remove();
});

function aParent(name: string): commonV2.Peer {
  return commonV2.Peer.fromPartial({ id: name, host: { id: `host-${name}`, ip: '127.0.0.1', port: 1 } });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Every parent has everything, and its stream stays open. */
const collector: PieceCollector = {
  async *collect(parent, _taskId, pieces, signal): AsyncIterable<OfferedPiece> {
    for (const number of pieces) {
      yield { number, offsetBytes: number * PIECE, lengthBytes: PIECE, host: parent.host.ip, port: 1 };
    }
    await aborted(signal);
  },
};

async function bring({ writer, parentId }: PieceFetch): ReturnType<typeof writer.commit> {
  const bytes = Buffer.alloc(PIECE);
  await writer.write(bytes, 0);
  return writer.commit({ lengthBytes: PIECE, crc32: crc32(bytes), parentId, trafficType: 1, costMs: 1 });
}

/** The first parent brings nothing until it is dropped. */
function aSession(onFirst: () => void): { session: ParentSession; parents: string[]; more: string[] } {
  const parents: string[] = [];
  const more: string[] = [];
  const session = new ParentSession({
    task,
    candidates: [aParent('slow')],
    pieces: PIECES,
    concurrency: 2,
    isSequential: false,
    collector,
    fetcher: {
      fetch: async (request) => {
        if (request.parentId !== 'slow') return bring(request);
        onFirst();
        await aborted(request.signal);
        request.writer.abort();
        throw new DfError('cancelled', 'gone');
      },
    },
    hosts: {
      acquire: () => ({
        // Without a choice between the two the test would depend on chance.
        weight: () => 1,
        isSilent: () => false,
        heard: () => {},
        pieceStarted: () => {},
        pieceEnded: () => {},
        release: () => {},
      }),
    },
    limiters: [],
    banned: new Set(),
    onPiece: ({ parentId }) => parents.push(parentId),
    onPieceFailed: () => {},
    onMoreParents: (peers) => more.push(...peers.map(({ id }) => id)),
    log: silentLogger(),
  });
  return { session, parents, more };
}

it('parents that come later take part, and those that are gone leave their pieces to them', async () => {
  let hasBegun = false;
  const { session, parents, more } = aSession(() => {
    if (hasBegun) return;
    hasBegun = true;
    session.addParents([aParent('fast'), aParent('slow'), aParent('fast')]);
    session.parentsGone(['slow']);
  });
  await expect(session.run(new AbortController().signal)).resolves.toBe('complete');
  expect(parents).toEqual(PIECES.map(() => 'fast'));
  expect(more).toEqual(['fast']);
});

it('parents that come when all is over are not asked', async () => {
  const { session, more } = aSession(() => {
    session.parentsGone(['slow']);
  });
  await expect(session.run(new AbortController().signal)).resolves.toBe('exhausted');
  session.addParents([aParent('late')]);
  expect(more).toEqual([]);
});
