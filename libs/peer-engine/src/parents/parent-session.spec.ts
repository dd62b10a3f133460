import { DfError } from '@dragonfly/errors';
import { aParent, EmptyTask, sessionOptions } from '../../test/parent-session-setup.js';
import { ParentSession } from './parent-session.js';
import type { OfferedPiece } from './piece-collector.js';

const PIECE = 4 * 1024 * 1024;

let empty: EmptyTask;

beforeEach(async () => {
  empty = await EmptyTask.create(2, PIECE);
});

afterEach(() => empty.remove());

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
    const { task } = empty;
    const session = new ParentSession(
      sessionOptions(task, {
        candidates: [aParent('parent')],
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
      }),
    );
    await expect(session.run(new AbortController().signal)).rejects.toMatchObject({ code: 'failed-precondition' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });
});
