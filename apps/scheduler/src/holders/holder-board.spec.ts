import { setImmediate as settle } from 'node:timers/promises';
import { createMemoryKv, type Kv } from '@dragonfly/kv';
import { aPeer, aTask, FakeClock } from '@dragonfly/scheduling/testing';
import type { Peer } from '@dragonfly/scheduling';
import { silentLogger } from '@dragonfly/telemetry';
import { HolderBoard } from './holder-board.js';
import { decodeHolders, encodeHolders, MAX_HOLDERS } from './holder-record.js';

const FIRST_NEWS_MS = 100;

describe('HolderBoard', () => {
  let clock: FakeClock;
  let kv: Kv;
  const boards: HolderBoard[] = [];

  beforeEach(() => {
    clock = new FakeClock();
    kv = createMemoryKv({ now: () => clock.nowMs() });
  });
  afterEach(async () => {
    for (const board of boards.splice(0)) board.close();
    await kv.close();
  });

  function boardOf(name: string, isOwn: (peer: Peer) => boolean = () => true, records = kv.records): HolderBoard {
    const board = new HolderBoard({ records, prefix: 'p:', name, isOwn, clock, log: silentLogger() });
    boards.push(board);
    return board;
  }

  async function pass(durationMs: number): Promise<void> {
    clock.advance(durationMs);
    for (let turn = 0; turn < 10; turn += 1) await settle();
  }

  it('names complete peers and those at the source, and nobody who fetches from parents', async () => {
    const [here, there] = [boardOf('here'), boardOf('there')];
    const task = aTask();
    const complete = aPeer({ task, state: 'Succeeded' });
    const reader = aPeer({ task, state: 'BackToSource', pieceCount: 1 });
    const child = aPeer({ task, state: 'Running' });
    task.attachToParents(child, [reader]);
    here.changed(task);
    await pass(FIRST_NEWS_MS);
    expect(await there.ask(task)).toEqual([
      {
        contentLengthBytes: task.contentLengthBytes,
        pieceLengthBytes: task.pieceLengthBytes,
        pieceCount: task.pieceCount,
        holders: [
          { hostId: complete.host.id, peerId: complete.id, isComplete: true },
          { hostId: reader.host.id, peerId: reader.id, isComplete: false },
        ],
      },
    ]);
    expect(await here.ask(task)).toEqual([]);
  });

  it('knows after a restart under the same name what it told before', async () => {
    const task = aTask();
    const holder = aPeer({ task, state: 'Succeeded' });
    boardOf('here').changed(task);
    await pass(FIRST_NEWS_MS);
    const restarted = boardOf('here');
    const again = aTask();
    Object.assign(again, { id: task.id });
    expect(await restarted.ask(again)).toMatchObject([{ holders: [{ hostId: holder.host.id }] }]);
    aPeer({ task: again, state: 'Succeeded' });
    restarted.changed(again);
    await pass(FIRST_NEWS_MS);
    expect(await restarted.ask(again)).toEqual([]);
  });

  it('does not repeat what another scheduler told', async () => {
    const task = aTask();
    aPeer({ task, state: 'Succeeded' });
    const board = boardOf('here', () => false);
    board.changed(task);
    await pass(FIRST_NEWS_MS);
    expect(await boardOf('there').ask(task)).toEqual([]);
    expect(board.size).toBe(0);
  });

  it('writes once a second for a task at most, and no more when as many as fit are named', async () => {
    let writes = 0;
    const { records } = kv;
    const counting = Object.create(records, {
      write: { value: (...args: Parameters<typeof records.write>) => ((writes += 1), records.write(...args)) },
    }) as typeof records;
    const board = boardOf('here', () => true, counting);
    const task = aTask();
    for (let count = 0; count < 5 * MAX_HOLDERS; count += 1) {
      aPeer({ task, state: 'Succeeded' });
      board.changed(task);
      await pass(FIRST_NEWS_MS);
    }
    expect(writes).toBe(2);
    const [told] = await boardOf('there').ask(task);
    expect(told?.holders).toHaveLength(MAX_HOLDERS);
  });

  it('tells again before it is forgotten, as long as it is true', async () => {
    const board = boardOf('here');
    const task = aTask();
    const peer = aPeer({ task, state: 'Succeeded' });
    board.changed(task);
    await pass(FIRST_NEWS_MS);
    for (let minute = 0; minute < 25; minute += 1) await pass(60_000);
    const there = boardOf('there');
    expect(await there.ask(task)).toHaveLength(1);
    task.removePeer(peer);
    for (let minute = 0; minute < 25; minute += 1) await pass(60_000);
    expect(await there.ask(task)).toEqual([]);
    expect(board.size).toBe(0);
  });

  it('leaves a store that fails alone for a while, and tells when it is back', async () => {
    let isAway = true;
    const { records } = kv;
    const failing = Object.create(records, {
      write: {
        value: (...args: Parameters<typeof records.write>) =>
          isAway ? Promise.reject(new Error('away')) : records.write(...args),
      },
    }) as typeof records;
    const board = boardOf('here', () => true, failing);
    const task = aTask();
    aPeer({ task, state: 'Succeeded' });
    board.changed(task);
    await pass(FIRST_NEWS_MS);
    expect(await board.ask(task)).toEqual([]);
    isAway = false;
    await pass(3000);
    expect(await boardOf('there').ask(task)).toHaveLength(1);
  });
});

describe('the record of holders', () => {
  const record = { contentLengthBytes: 1, pieceLengthBytes: 2, pieceCount: 3, holders: [] };

  it('is read as it was written', () => {
    const full = { ...record, holders: [{ hostId: 'h', peerId: 'p', isComplete: true }] };
    expect(decodeHolders(encodeHolders(full))).toEqual(full);
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['a negative length', JSON.stringify({ ...record, contentLengthBytes: -1 })],
    ['an empty host id', JSON.stringify({ ...record, holders: [{ hostId: '', peerId: 'p', isComplete: true }] })],
    ['a host id of another type', JSON.stringify({ ...record, holders: [{ hostId: 1, peerId: 'p' }] })],
    [
      'too many holders',
      JSON.stringify({ ...record, holders: Array(9).fill({ hostId: 'h', peerId: 'p', isComplete: true }) }),
    ],
    ['too long a text', JSON.stringify({ ...record, more: 'x'.repeat(40_000) })],
  ])('is not read from %s', (_what, text) => {
    expect(decodeHolders(text)).toBeUndefined();
  });
});
