import { DfError } from '@dragonfly/errors';
import { PieceStore, type StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { silentLogger } from '@dragonfly/telemetry';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { ParentSession, type ParentSessionOptions } from './parent-session.js';
import type { OfferedPiece } from './piece-collector.js';

const PIECE = 4 * 1024 * 1024;

let dir: TempDir;
let store: PieceStore;
let task: StoredTask;

beforeEach(async () => {
  dir = tempDir('session');
  store = await PieceStore.open({ directory: dir.path, log: silentLogger() });
  task = await store.getOrCreate('standard', 'a'.repeat(64), {
    pieceLengthBytes: PIECE,
    contentLengthBytes: 2 * PIECE,
    url: 'http://origin/file',
    filteredQueryParams: [],
  });
});

afterEach(async () => {
  await store.close();
  dir.remove();
});

function aSession(overrides: Partial<ParentSessionOptions>): ParentSession {
  return new ParentSession({
    task,
    candidates: [commonV2.Peer.fromPartial({ id: 'parent', host: { id: 'host', ip: '127.0.0.1', port: 1 } })],
    pieces: [0, 1],
    concurrency: 2,
    isSequential: false,
    collector: { collect: unexpected },
    fetcher: { fetch: unexpected },
    hosts: {
      acquire: () => ({
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
    onPiece: () => {},
    onPieceFailed: () => {},
    log: silentLogger(),
    ...overrides,
  });
}

function unexpected(): never {
  throw new Error('not expected here');
}

function anOffer(number: number): OfferedPiece {
  return { number, offsetBytes: number * PIECE, lengthBytes: PIECE, host: '127.0.0.1', port: 1 };
}

describe('a session whose task takes no pieces any more', () => {
  let unhandled: unknown[];
  const onUnhandled = (reason: unknown): void => {
    unhandled.push(reason);
  };

  beforeEach(() => {
    unhandled = [];
    process.on('unhandledRejection', onUnhandled);
  });

  afterEach(() => {
    process.off('unhandledRejection', onUnhandled);
  });

  it('ends with the reason and leaves no rejection behind', async () => {
    const session = aSession({
      concurrency: 1,
      collector: {
        collect: async function* () {
          yield anOffer(0);
          yield anOffer(1);
        },
      },
      fetcher: {
        fetch: async ({ writer }) => {
          writer.abort();
          await task.fail(new DfError('origin', 'answered 403'));
          throw new DfError('not-found', 'the parent does not have it');
        },
      },
    });
    await expect(session.run(new AbortController().signal)).rejects.toMatchObject({ code: 'failed-precondition' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });
});
