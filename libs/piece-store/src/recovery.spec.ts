import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { contentOf, quietLog, readPiece, storeContent, storePiece } from '../test/store-fixtures.js';
import { encodeRecord, JOURNAL_MAGIC, scanJournal, type JournalRecord } from './journal-record.js';
import { PieceStore } from './piece-store.js';
import type { StoredTask } from './stored-task.js';

const PIECE = 1000;
const CONTENT = contentOf(4500);
const ID = 'b'.repeat(64);

describe('recovery of a piece store', () => {
  let directory: TempDir;
  let store: PieceStore | undefined;

  const journalPath = (): string => directory.file('journal', 'standard', 'bbb', ID);
  const contentPath = (): string => directory.file('data', 'standard', 'bbb', ID);
  const open = async (): Promise<PieceStore> =>
    (store = await PieceStore.open({ directory: directory.path, log: quietLog }));
  const close = async (): Promise<void> => {
    await store?.close();
    store = undefined;
  };
  const recovered = async (): Promise<StoredTask> => {
    await close();
    const task = (await open()).get('standard', ID);
    if (task === undefined) throw new Error('the task is gone');
    return task;
  };
  /** Rewrites the journal; the store must be closed. */
  const editJournal = (edit: (records: JournalRecord[]) => JournalRecord[]): void => {
    const { records } = scanJournal(readFileSync(journalPath()));
    writeFileSync(journalPath(), Buffer.concat([JOURNAL_MAGIC, ...edit(records).map(encodeRecord)]));
  };
  /** As if the machine had been started again since. */
  const inAnotherBoot = (records: JournalRecord[]): JournalRecord[] =>
    records.map((record) => (record.type === 'boot' ? { type: 'boot', bootId: 'an-earlier-one' } : record));
  const spoil = (offset: number): void => {
    const bytes = readFileSync(contentPath());
    bytes[offset] = (bytes[offset] ?? 0) ^ 0xff;
    writeFileSync(contentPath(), bytes);
  };

  beforeEach(async () => {
    directory = tempDir('recovery');
    const task = await (
      await open()
    ).getOrCreate('standard', ID, {
      pieceLengthBytes: PIECE,
      contentLengthBytes: CONTENT.length,
    });
    await storeContent(task, CONTENT);
  });
  afterEach(async () => {
    await close();
    directory.remove();
  });

  it('keeps every piece whose record is whole, wherever the journal was torn', async () => {
    await close();
    const whole = readFileSync(journalPath());
    const { records } = scanJournal(whole);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(journalPath(), whole.subarray(0, length));
      const content = readFileSync(contentPath());
      const task = (await open()).get('standard', ID);
      const intact = scanJournal(whole.subarray(0, length)).records;
      expect(task?.finishedPieceCount).toBe(
        intact.length === 0 ? undefined : intact.filter((record) => record.type === 'piece').length,
      );
      expect(task?.isComplete ?? false).toBe(false);
      if (task !== undefined) {
        // The cut journal goes on: what is missing is fetched again, and nothing of the torn record comes back.
        await storeContent(task, CONTENT);
        const again = await recovered();
        expect(again.isComplete).toBe(true);
        await expect(readPiece(again, 4)).resolves.toEqual(CONTENT.subarray(4000));
      }
      await close();
      if (!existsSync(contentPath())) writeFileSync(contentPath(), content);
    }
    expect(records.length).toBeGreaterThan(6);
  }, 60_000);

  it('loses only what follows a damaged record', async () => {
    await close();
    const bytes = readFileSync(journalPath());
    const { records } = scanJournal(bytes);
    const third = records.filter((record) => record.type === 'piece')[2];
    if (third === undefined) throw new Error('no third piece');
    const at = bytes.indexOf(encodeRecord(third));
    bytes[at + 12] = (bytes[at + 12] ?? 0) ^ 1;
    writeFileSync(journalPath(), bytes);
    const task = await recovered();
    expect(task.missingPieces()).toEqual([2, 3, 4]);
    await expect(readPiece(task, 1)).resolves.toEqual(CONTENT.subarray(1000, 2000));
  });

  it('trusts pieces of the same boot without reading them', async () => {
    const task = await recovered();
    await expect(task.ensureVerified()).resolves.toEqual([]);
    expect(task.isComplete).toBe(true);
  });

  it('checks pieces after a power loss before serving them, and drops what the disk lost', async () => {
    await close();
    editJournal(inAnotherBoot);
    spoil(2500);
    const task = await recovered();
    await expect(readPiece(task, 1)).resolves.toEqual(CONTENT.subarray(1000, 2000));
    await expect(readPiece(task, 2)).rejects.toMatchObject({ code: 'not-found' });
    expect(task).toMatchObject({ isComplete: false, finishedPieceCount: 4 });
    await storePiece(task, 2, CONTENT.subarray(2000, 3000));
    await task.complete();
    await expect(task.linkTo(directory.file('out'))).resolves.toMatch(/ed$/);
    expect(readFileSync(directory.file('out'))).toEqual(CONTENT);
  });

  it('checks all of a task at once when asked, and remembers the result', async () => {
    await close();
    editJournal(inAnotherBoot);
    spoil(0);
    spoil(4400);
    let task = await recovered();
    await expect(task.ensureVerified()).resolves.toEqual([0, 4]);
    await expect(task.ensureVerified()).resolves.toEqual([]);
    task = await recovered();
    expect(task.missingPieces()).toEqual([0, 4]);
    // What was found good is known to be on disk now: not read again.
    const types = scanJournal(readFileSync(journalPath())).records.map((record) => record.type);
    expect(types).toContain('trusted');
  });

  it('needs no check after a power loss under sync policy full', async () => {
    await close();
    const full = await PieceStore.open({ directory: directory.path, log: quietLog, syncPolicy: 'full' });
    await full.delete('standard', ID);
    const task = await full.getOrCreate('standard', ID, { pieceLengthBytes: PIECE, contentLengthBytes: 4500 });
    await storeContent(task, CONTENT);
    await full.close();
    editJournal(inAnotherBoot);
    spoil(100);
    // Served as it is: proves that nothing was read to be checked.
    await expect(readPiece(await recovered(), 0)).resolves.not.toEqual(CONTENT.subarray(0, 1000));
  });

  it('drops pieces that lie beyond the end of a shortened file', async () => {
    await close();
    truncateSync(contentPath(), 2999);
    const task = await recovered();
    expect(task.missingPieces()).toEqual([2, 3, 4]);
    expect(task.isComplete).toBe(false);
  });

  it('removes journals without content and content without journals', async () => {
    await close();
    const stray = directory.file('data', 'persistent', 'ccc', 'c'.repeat(64));
    mkdirSync(path.dirname(stray), { recursive: true });
    writeFileSync(stray, 'litter');
    writeFileSync(journalPath(), 'not a journal');
    expect((await open()).list()).toEqual([]);
    expect([existsSync(stray), existsSync(journalPath()), existsSync(contentPath())]).toEqual([false, false, false]);
  });

  it('passes over what is not its own', async () => {
    await close();
    writeFileSync(directory.file('journal', 'standard', '.DS_Store'), 'foreign');
    writeFileSync(directory.file('data', 'standard', '.DS_Store'), 'foreign');
    mkdirSync(directory.file('journal', 'standard', 'bbb', 'c'.repeat(64)));
    mkdirSync(directory.file('data', 'standard', 'bbb', 'c'.repeat(64)));
    expect((await recovered()).isComplete).toBe(true);
    expect(existsSync(directory.file('journal', 'standard', '.DS_Store'))).toBe(true);
  });

  it('remembers failure and use', async () => {
    const task = await recovered();
    await task.fail(new Error('origin said no'));
    expect((await recovered()).failure?.message).toBe('origin said no');
    await store?.get('standard', ID)?.resume();
    expect((await recovered()).failure).toBeUndefined();
  });
});
