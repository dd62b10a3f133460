import { readdirSync, statSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { beginPiece, contentOf, quietLog, readPiece, storeContent, storePiece } from '../test/store-fixtures.js';
import { readFully } from './file-io.js';
import { PieceStore } from './piece-store.js';
import type { StoredTask } from './stored-task.js';

const PIECE = 1000;
const ID = 'a'.repeat(64);

describe('PieceStore', () => {
  let directory: TempDir;
  let store: PieceStore;
  let nowMs = 1_700_000_000_000;

  const open = (): Promise<PieceStore> =>
    PieceStore.open({ directory: directory.path, log: quietLog, nowMs: () => nowMs });
  const create = (contentLengthBytes?: number, id = ID): Promise<StoredTask> =>
    store.getOrCreate('standard', id, { pieceLengthBytes: PIECE, contentLengthBytes, url: 'http://origin/file' });
  const reopen = async (): Promise<StoredTask> => {
    await store.close();
    store = await open();
    const task = store.get('standard', ID);
    if (task === undefined) throw new Error('the task is gone');
    return task;
  };

  beforeEach(async () => {
    directory = tempDir('store');
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    directory.remove();
  });

  it('gives back pieces as they were written, in any order, also after a restart', async () => {
    const content = contentOf(2500);
    let task = await create(content.length);
    await storePiece(task, 2, content.subarray(2000));
    await storePiece(task, 0, content.subarray(0, 1000));
    expect(task.missingPieces()).toEqual([1]);
    await storePiece(task, 1, content.subarray(1000, 2000));
    await task.complete();

    for (const _ of ['before', 'after']) {
      expect(Buffer.concat([await readPiece(task, 0), await readPiece(task, 1), await readPiece(task, 2)])).toEqual(
        content,
      );
      expect(task.isComplete).toBe(true);
      expect(task.piece(2)).toEqual({
        number: 2,
        offsetBytes: 2000,
        lengthBytes: 500,
        digest: `crc32:${crc32(content.subarray(2000))}`,
        parentId: 'parent-a',
        trafficType: 2,
        costMs: 7,
        createdAtMs: nowMs,
      });
      task = await reopen();
    }
    expect(task.meta.url).toBe('http://origin/file');
  });

  it('lets one writer at a piece and tells others', async () => {
    const task = await create(2500);
    const writer = beginPiece(task, 0);
    expect(task.beginPiece(0)).toBe('in-progress');
    expect(task.pieceState(0)).toBe('in-progress');
    writer.abort();
    await expect(writer.write(Buffer.alloc(1), 0)).rejects.toMatchObject({ code: 'cancelled' });
    expect(task.pieceState(0)).toBe('absent');
    await storePiece(task, 0, contentOf(1000));
    expect(task.beginPiece(0)).toBe('present');
  });

  it('keeps a piece taken until the writes of an aborted writer have ended', async () => {
    const task = await create(2500);
    const writer = beginPiece(task, 0);
    const writing = writer.write(Buffer.alloc(1000, 0xff), 0);
    writer.abort();
    expect(task.beginPiece(0)).toBe('in-progress');
    const given = expect(task.waitForPiece(0)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await expect(writing).rejects.toMatchObject({ code: 'cancelled' });
    await given;
    expect(task.pieceState(0)).toBe('absent');
    await storePiece(task, 0, contentOf(1000));
    await expect(readPiece(task, 0)).resolves.toEqual(contentOf(1000));
  });

  it('refuses bytes outside a piece, a commit of too few bytes and pieces that do not exist', async () => {
    const task = await create(2500);
    const writer = beginPiece(task, 2);
    expect(writer.maxLengthBytes).toBe(500);
    await expect(writer.write(Buffer.alloc(501), 0)).rejects.toMatchObject({ code: 'invalid-argument' });
    await writer.write(Buffer.alloc(499), 0);
    const commit = { lengthBytes: 500, crc32: 0, trafficType: 1, costMs: 0 };
    await expect(writer.commit(commit)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(task.pieceState(2)).toBe('absent');
    for (const number of [3, -1, 0.5, NaN]) expect(() => task.beginPiece(number)).toThrow(/has no piece/);
    await expect(task.openForRead(2)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('wakes those who wait for a piece when it is stored, and when it is given up', async () => {
    const task = await create(2500);
    const finished: number[] = [];
    const stop = task.onPieceFinished((piece) => finished.push(piece.number));
    const writer = beginPiece(task, 1);
    const givenUp = expect(task.waitForPiece(1)).rejects.toMatchObject({ code: 'unavailable' });
    writer.abort();
    await givenUp;
    const waiting = task.waitForPiece(1);
    await storePiece(task, 1, contentOf(1000));
    await expect(waiting).resolves.toMatchObject({ number: 1, lengthBytes: 1000 });
    stop();
    await storePiece(task, 0, contentOf(1000));
    expect(finished).toEqual([1]);
  });

  it('ends a wait by its signal, by failure and by deletion', async () => {
    const task = await create(2500);
    const abort = new AbortController();
    const cancelled = expect(task.waitForPiece(0, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    abort.abort();
    await cancelled;

    const failed = expect(task.waitForPiece(0)).rejects.toMatchObject({ code: 'not-found' });
    await task.fail(new Error('origin is gone'));
    await failed;
    expect(() => task.beginPiece(0)).toThrow(/origin is gone/);
    await task.resume();

    const deleted = expect(task.waitForPiece(0)).rejects.toMatchObject({ code: 'not-found' });
    const ends: string[] = [];
    task.onEnd((end) => ends.push(end));
    await store.delete('standard', ID);
    await deleted;
    expect(ends).toEqual(['deleted']);
  });

  it('stores content whose length is learnt at the end', async () => {
    const content = contentOf(2300);
    let task = await create(undefined);
    expect(task.pieceCount).toBeUndefined();
    for (const [number, end] of [1000, 2000, 2300].entries()) {
      await storePiece(task, number, content.subarray(number * PIECE, end));
    }
    await expect(task.complete()).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(task.setContentLength(2200)).rejects.toMatchObject({ code: 'invalid-argument' });
    await task.setContentLength(2300);
    await task.complete();
    task = await reopen();
    expect(task).toMatchObject({ isComplete: true, contentLengthBytes: 2300, pieceCount: 3 });
    await expect(readPiece(task, 2)).resolves.toEqual(content.subarray(2000));
  });

  it('completes an empty content', async () => {
    const task = await create(0);
    await task.complete();
    await expect(task.linkTo(directory.file('empty'))).resolves.toMatch(/linked/);
    expect(statSync(directory.file('empty')).size).toBe(0);
    await expect(task.digest('md5')).resolves.toBe('d41d8cd98f00b204e9800998ecf8427e');
  });

  it('keeps readers going when their task is deleted, and takes the files away', async () => {
    const content = contentOf(2500);
    const task = await create(content.length);
    await storeContent(task, content);
    const opened = await task.openForRead(0);
    await expect(store.evict('standard', ID)).resolves.toBe(false);
    await expect(store.delete('standard', ID)).resolves.toBe(true);
    const bytes = Buffer.alloc(1000);
    await readFully(opened.fd, bytes, opened.fileOffset);
    expect(bytes).toEqual(content.subarray(0, 1000));
    opened.release();
    expect(readdirSync(directory.file('data', 'standard', 'aaa'))).toEqual([]);
    expect(readdirSync(directory.file('journal', 'standard', 'aaa'))).toEqual([]);
    await expect(task.openForRead(0)).rejects.toMatchObject({ code: 'not-found' });
    await expect(store.delete('standard', ID)).resolves.toBe(false);
  });

  it('makes a deleted task anew, with nothing left of the old one', async () => {
    await storeContent(await create(2500), contentOf(2500));
    const deleting = store.delete('standard', ID);
    const task = await create(2500);
    await deleting;
    expect(task.missingPieces()).toEqual([0, 1, 2]);
    await storeContent(task, contentOf(2500, 2));
    await expect(readPiece(await reopen(), 1)).resolves.toEqual(contentOf(2500, 2).subarray(1000, 2000));
  });

  it('hands the same task to everybody who creates it at once', async () => {
    const tasks = await Promise.all(Array.from({ length: 20 }, () => create(2500)));
    expect(new Set(tasks).size).toBe(1);
  });

  it('refuses ids that could leave the directory, and lengths that make no sense', async () => {
    for (const id of ['../../etc/passwd', 'a/b', '..', '', 'ab', 'x'.repeat(201)]) {
      await expect(create(1, id)).rejects.toMatchObject({ code: 'invalid-argument' });
    }
    await expect(create(-1)).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(create(1.5)).rejects.toMatchObject({ code: 'invalid-argument' });
    const noPieces = store.getOrCreate('standard', ID, { pieceLengthBytes: 0 });
    await expect(noPieces).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('refuses a content larger than the disk before a byte of it is fetched', async () => {
    const { freeBytes } = await store.usage();
    const tooLarge = store.getOrCreate('standard', ID, {
      pieceLengthBytes: 64 << 20,
      contentLengthBytes: freeBytes + (1 << 30),
    });
    await expect(tooLarge).rejects.toMatchObject({ code: 'no-space' });
    expect(store.list()).toEqual([]);
  });

  it('counts its own bytes, not those of others on the volume', async () => {
    await storeContent(await create(2500), contentOf(2500));
    const { usedBytes } = await store.usage();
    expect(usedBytes).toBeGreaterThanOrEqual(2500);
    expect(usedBytes).toBeLessThan(4000);
  });

  it('shares few descriptors among many tasks, and says so when all are in use', async () => {
    await store.close();
    store = await PieceStore.open({ directory: directory.path, log: quietLog, maxOpenFiles: 4 });
    const ids = Array.from({ length: 8 }, (_, index) => `task${index}`);
    for (const id of ids) await storeContent(await create(2500, id), contentOf(2500));
    const opened = await Promise.all(
      ids.slice(0, 4).map(async (id) => {
        const piece = await store.get('standard', id)?.openForRead(0);
        if (piece === undefined) throw new Error('no task');
        return piece;
      }),
    );
    await expect(store.get('standard', 'task5')?.openForRead(0)).rejects.toMatchObject({ code: 'resource-exhausted' });
    opened[0]?.release();
    const another = await store.get('standard', 'task5')?.openForRead(0);
    for (const piece of [...opened, another]) piece?.release();
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(100);
  });

  it('journals frequent use rarely', async () => {
    const task = await create(2500);
    const { usedBytes } = await store.usage();
    for (let second = 0; second < 59; second += 1) {
      nowMs += 1000;
      task.touch();
    }
    await task.setResponseHeader({});
    const afterTouches = (await store.usage()).usedBytes;
    expect(task.updatedAtMs).toBe(nowMs);
    expect(afterTouches - usedBytes).toBeLessThan(100);
    nowMs += 60_000;
    task.touch();
    await expect(reopen()).resolves.toMatchObject({ updatedAtMs: nowMs });
  });

  it('keeps its journal short when a task changes for a long time', async () => {
    const task = await create(2500);
    await storeContent(task, contentOf(2500));
    for (let round = 0; round < 40; round += 1) {
      await task.setResponseHeader({ filler: 'x'.repeat(100_000), round: String(round) });
    }
    expect((await store.usage()).usedBytes).toBeLessThan(1_000_000);
    const again = await reopen();
    expect(again.isComplete).toBe(true);
    expect(again.meta.responseHeader['round']).toBe('39');
    await expect(readPiece(again, 1)).resolves.toEqual(contentOf(2500).subarray(1000, 2000));
  });

  it('refuses metadata too large to be read back, and loses nothing by it', async () => {
    const task = await create(2500);
    const header = { filler: 'x'.repeat(2 << 20) };
    const [tooLarge] = await Promise.allSettled([task.setResponseHeader(header), storeContent(task, contentOf(2500))]);
    expect(tooLarge).toMatchObject({ reason: { code: 'invalid-argument' } });
    await expect(reopen()).resolves.toMatchObject({ isComplete: true, meta: { responseHeader: {} } });
    const another = store.getOrCreate('standard', 'other', { pieceLengthBytes: PIECE, responseHeader: header });
    await expect(another).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(store.get('standard', 'other')).toBeUndefined();
  });

  it('starts empty with keep: false', async () => {
    await storeContent(await create(2500), contentOf(2500));
    await store.close();
    store = await PieceStore.open({ directory: directory.path, log: quietLog, keep: false });
    expect(store.list()).toEqual([]);
  });

  it.each(['none', 'journal', 'full'] as const)('stores and recovers under sync policy %s', async (syncPolicy) => {
    await store.close();
    store = await PieceStore.open({ directory: directory.path, log: quietLog, syncPolicy });
    await storeContent(await create(2500), contentOf(2500));
    await expect(readPiece(await reopen(), 2)).resolves.toEqual(contentOf(2500).subarray(2000));
  });
});
