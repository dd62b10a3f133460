import { DfError } from '@dragonfly/errors';
import { crc32 } from '@dragonfly/vortex';
import { aParent, EmptyTask, sessionOptions, steadyHost } from '../../test/parent-session-setup.js';
import { ParentSession } from './parent-session.js';
import type { OfferedPiece, PieceCollector } from './piece-collector.js';
import type { PieceFetch } from './piece-fetcher.js';

const PIECE = 4 * 1024 * 1024;
const PIECES = [0, 1, 2, 3];

let empty: EmptyTask;

beforeEach(async () => {
  empty = await EmptyTask.create(PIECES.length, PIECE);
});

afterEach(() => empty.remove());

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
  const session = new ParentSession(
    sessionOptions(empty.task, {
      candidates: [aParent('slow')],
      concurrency: 2,
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
      // Without a choice between the two the test would depend on chance.
      hosts: { acquire: () => steadyHost(1) },
      onPiece: ({ parentId }) => parents.push(parentId),
      onMoreParents: (peers) => more.push(...peers.map(({ id }) => id)),
    }),
  );
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
