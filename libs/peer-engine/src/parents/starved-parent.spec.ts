import { jest } from '@jest/globals';
import { commonV2 } from '@dragonfly/proto';
import { aParent, EmptyTask, sessionOptions, steadyHost } from '../../test/parent-session-setup.js';
import { ParentSession } from './parent-session.js';
import type { PieceFetch } from './piece-fetcher.js';
import { STARVED_AFTER_MS } from './starved-pieces.js';

const PIECE = 4;
const ALL = [0, 1, 2, 3];
const LIFE_CHECK_MS = 500;

let empty: EmptyTask;

beforeEach(async () => {
  empty = await EmptyTask.create(ALL.length, PIECE);
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
});

afterEach(async () => {
  jest.useRealTimers();
  await empty.remove();
});

type Parent = 'strong' | 'weak';

/** A session with two parents, of whom the strong one is asked for everything as long as it may be. */
class Bench {
  /** `parent piece`, in the order of asking. */
  readonly asked: string[] = [];
  readonly failed: number[] = [];
  private readonly outcome: Promise<string>;
  private readonly pending = new Map<number, PieceFetch>();

  /** @param withWeak pieces that the weak parent has as well */
  constructor(withWeak: readonly number[]) {
    const session = new ParentSession(
      sessionOptions(empty.task, {
        candidates: [aParent('strong'), aParent('weak')],
        concurrency: ALL.length,
        isSequential: true,
        collector: {
          collect: async function* ({ id }) {
            // The strong one is asked before the weak one has told anything.
            if (id === 'weak') await new Promise(setImmediate);
            for (const number of id === 'strong' ? ALL : withWeak) {
              yield { number, offsetBytes: number * PIECE, lengthBytes: PIECE, host: '127.0.0.1', port: 1 };
            }
          },
        },
        fetcher: { fetch: (request) => this.fetch(request) },
        hosts: { acquire: (_, peerId) => steadyHost(peerId === 'strong' ? 1e12 : 1) },
        onPieceFailed: (number) => this.failed.push(number),
      }),
    );
    this.outcome = session.run(new AbortController().signal);
  }

  askedOf(parent: Parent): number[] {
    return this.asked.filter((line) => line.startsWith(parent)).map((line) => Number(line.split(' ')[1]));
  }

  /** The strong parent sends a byte of one of its pieces. */
  drip(): void {
    [...this.pending.values()][0]?.onBytes?.();
  }

  async finishStrong(): Promise<void> {
    for (const request of this.pending.values()) await this.commit(request);
  }

  /** Lets the session look at its parents for so long, and what it does take place. */
  async pass(durationMs: number, atEachLook: () => void = () => {}): Promise<void> {
    const settle = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    };
    await settle();
    for (let passedMs = 0; passedMs < durationMs; passedMs += LIFE_CHECK_MS) {
      atEachLook();
      jest.advanceTimersByTime(LIFE_CHECK_MS);
      await settle();
    }
  }

  end(): Promise<string> {
    return this.outcome;
  }

  private readonly resolvers = new Map<number, (record: Awaited<ReturnType<Bench['record']>>) => void>();

  private async fetch(request: PieceFetch): Promise<Awaited<ReturnType<Bench['record']>>> {
    const { piece, parentId, signal, writer } = request;
    this.asked.push(`${parentId} ${piece.number}`);
    request.onAsked?.();
    if (parentId === 'weak') return this.record(request);
    this.pending.set(piece.number, request);
    return new Promise((resolve, reject) => {
      this.resolvers.set(piece.number, resolve);
      signal.addEventListener('abort', () => {
        this.pending.delete(piece.number);
        writer.abort();
        reject(signal.reason as Error);
      });
    });
  }

  private async commit(request: PieceFetch): Promise<void> {
    this.resolvers.get(request.piece.number)?.(await this.record(request));
  }

  private async record({ piece, parentId, writer }: PieceFetch) {
    await writer.write(Buffer.alloc(PIECE), 0);
    return writer.commit({
      lengthBytes: piece.lengthBytes,
      crc32: 0,
      parentId,
      trafficType: commonV2.TrafficType.REMOTE_PEER,
      costMs: 1,
    });
  }
}

describe('a parent that was asked for pieces and sends nothing', () => {
  it('loses them to another that has them, without being blamed, and is not asked again meanwhile', async () => {
    const bench = new Bench(ALL);
    await bench.pass(STARVED_AFTER_MS - LIFE_CHECK_MS);
    expect([bench.askedOf('strong'), bench.askedOf('weak')]).toEqual([ALL, []]);
    await bench.pass(2 * LIFE_CHECK_MS);
    expect(bench.askedOf('weak')).toEqual(ALL);
    expect(await bench.end()).toBe('complete');
    expect(bench.askedOf('strong')).toEqual(ALL);
    expect(bench.failed).toEqual([]);
  });

  it('keeps what nobody else has', async () => {
    const bench = new Bench([1]);
    await bench.pass(5 * STARVED_AFTER_MS);
    // It is asked for the rest still, and for nothing twice.
    expect([bench.askedOf('strong'), bench.askedOf('weak')]).toEqual([ALL, [1]]);
    await bench.finishStrong();
    expect(await bench.end()).toBe('complete');
  });

  it('keeps everything as long as it sends at all, however slowly', async () => {
    const bench = new Bench(ALL);
    await bench.pass(10 * STARVED_AFTER_MS, () => bench.drip());
    expect([bench.askedOf('strong'), bench.askedOf('weak')]).toEqual([ALL, []]);
    await bench.finishStrong();
    expect(await bench.end()).toBe('complete');
  });
});
