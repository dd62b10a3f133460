import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { contentOf, quietLog, readPiece, storeContent, storePiece } from '../test/store-fixtures.js';
import { giveTo, type OutputMode } from './output.js';
import { PieceStore } from './piece-store.js';
import type { StoredTask } from './stored-task.js';

const PIECE = 1000;
const CONTENT = contentOf(4500);
const ID = 'c'.repeat(64);

describe('output of a task', () => {
  let directory: TempDir;
  let outputs: TempDir;
  let store: PieceStore;
  let task: StoredTask;

  const contentPath = (): string => directory.file('data', 'standard', 'ccc', ID);
  const output = (): string => outputs.file('out');
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await PieceStore.open({ directory: directory.path, log: quietLog });
    const found = store.get('standard', ID);
    if (found === undefined) throw new Error('the task is gone');
    task = found;
  };
  /** Changes one byte the way an editor in place does. */
  const edit = async (path: string, offset: number): Promise<void> => {
    const file = await openFile(path, 'r+');
    await file.write(Buffer.from([(CONTENT[offset] ?? 0) ^ 0xff]), 0, 1, offset);
    await file.close();
  };

  beforeEach(async () => {
    directory = tempDir('store');
    outputs = tempDir('outputs');
    store = await PieceStore.open({ directory: directory.path, log: quietLog });
    task = await store.getOrCreate('standard', ID, { pieceLengthBytes: PIECE, contentLengthBytes: CONTENT.length });
    await storeContent(task, CONTENT);
  });
  afterEach(async () => {
    await store.close();
    directory.remove();
    outputs.remove();
  });

  it('holds the whole content and leaves no other file behind', async () => {
    for (const mode of ['auto', 'copy-only', 'hard-link-only'] as const satisfies OutputMode[]) {
      const outcome = await task.linkTo(output(), { mode, overwrite: true });
      expect(readFileSync(output())).toEqual(CONTENT);
      expect(readdirSync(outputs.path)).toEqual(['out']);
      const isSameFile = statSync(output()).ino === statSync(contentPath()).ino;
      expect(isSameFile).toBe(outcome === 'linked');
      if (mode === 'hard-link-only') expect(outcome).toBe('linked');
      if (mode === 'copy-only') expect(outcome).not.toBe('linked');
    }
  });

  it('replaces an existing file only when told to', async () => {
    writeFileSync(output(), 'precious');
    for (const mode of ['auto', 'copy-only', 'hard-link-only'] as const) {
      await expect(task.linkTo(output(), { mode })).rejects.toMatchObject({ code: 'already-exists' });
    }
    expect(readFileSync(output(), 'utf8')).toBe('precious');
    await task.linkTo(output(), { overwrite: true });
    await task.linkTo(output(), { overwrite: true });
    expect(readFileSync(output())).toEqual(CONTENT);
    expect(readdirSync(outputs.path)).toEqual(['out']);
  });

  it('replaces a symbolic link itself, not what it points to', async () => {
    writeFileSync(outputs.file('elsewhere'), 'precious');
    symlinkSync(outputs.file('elsewhere'), output());
    await task.linkTo(output(), { overwrite: true });
    expect(readFileSync(outputs.file('elsewhere'), 'utf8')).toBe('precious');
    expect(readFileSync(output())).toEqual(CONTENT);
  });

  it('says what is wrong with a target', async () => {
    mkdirSync(outputs.file('directory'));
    const directoryTarget = task.linkTo(outputs.file('directory'), { overwrite: true });
    await expect(directoryTarget).rejects.toMatchObject({ code: 'invalid-argument' });
    const missing = task.linkTo(outputs.file('missing', 'out'));
    await expect(missing).rejects.toMatchObject({ code: 'not-found' });
    await expect(task.linkTo('/dev/null', { overwrite: true })).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('is refused before the content is complete', async () => {
    const partial = await store.getOrCreate('standard', 'd'.repeat(64), {
      pieceLengthBytes: PIECE,
      contentLengthBytes: 4500,
    });
    await storePiece(partial, 1, CONTENT.subarray(1000, 2000));
    await expect(partial.linkTo(output())).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(existsSync(output())).toBe(false);
    const range = { startBytes: 1100, lengthBytes: 900 };
    await expect(partial.linkTo(output(), { range })).resolves.toBe('copied');
    expect(readFileSync(output())).toEqual(CONTENT.subarray(1100, 2000));
    const wider = { startBytes: 1100, lengthBytes: 901 };
    await expect(partial.linkTo(output(), { range: wider, overwrite: true })).rejects.toMatchObject({
      code: 'failed-precondition',
    });
  });

  it('ends with nothing visible when it is cancelled', async () => {
    const signal = AbortSignal.abort();
    await expect(task.linkTo(output(), { signal })).rejects.toMatchObject({ code: 'cancelled' });
    const range = { startBytes: 0, lengthBytes: 4500 };
    await expect(task.linkTo(output(), { range, signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(outputs.path)).toEqual([]);
  });

  it('belongs to the caller when the daemon is root, and then is no hard link', async () => {
    if (process.getuid?.() !== 0) {
      console.log('not run: only root may give files to another user');
      return;
    }
    await expect(task.linkTo(output(), { owner: { uid: 4242, gid: 4343 } })).resolves.toMatch(/reflinked|copied/);
    expect(statSync(output())).toMatchObject({ uid: 4242, gid: 4343 });
    expect(statSync(contentPath()).uid).toBe(0);
  });

  it.each([
    ['a symbolic link', symlinkSync],
    ['another name of a file', linkSync],
  ])('gives away nothing when somebody puts %s in the place of the file being made', async (_what, plant) => {
    if (process.getuid?.() !== 0) {
      console.warn('skipped: only root can give files away');
      return;
    }
    writeFileSync(outputs.file('precious'), 'precious');
    plant(outputs.file('precious'), outputs.file('planted'));
    await expect(giveTo(outputs.file('planted'), { uid: 4242, gid: 4343 })).rejects.toThrow();
    expect(statSync(outputs.file('precious')).uid).toBe(0);
  });

  describe('when it is a hard link', () => {
    beforeEach(async () => {
      await task.linkTo(output(), { mode: 'hard-link-only' });
    });

    it.each(['at once', 'after a restart'])('does not serve what a user wrote into it (%s)', async (when) => {
      await edit(output(), 2500);
      if (when === 'after a restart') await reopen();
      await expect(readPiece(task, 1)).resolves.toEqual(CONTENT.subarray(1000, 2000));
      await expect(readPiece(task, 2)).rejects.toMatchObject({ code: 'not-found' });
      expect(task.isComplete).toBe(false);

      // The piece comes again: into a file of the store's own, the user's stays as the user left it.
      const edited = readFileSync(output());
      await storePiece(task, 2, CONTENT.subarray(2000, 3000));
      await task.complete();
      await expect(readPiece(task, 2)).resolves.toEqual(CONTENT.subarray(2000, 3000));
      expect(readFileSync(output())).toEqual(edited);
      await task.linkTo(outputs.file('second'));
      expect(readFileSync(outputs.file('second'))).toEqual(CONTENT);
    });

    it('is not given out again after an edit', async () => {
      await edit(output(), 0);
      await edit(output(), 4400);
      const again = task.linkTo(outputs.file('second'));
      await expect(again).rejects.toMatchObject({ code: 'data-loss', details: { droppedPieces: [0, 4] } });
      expect(existsSync(outputs.file('second'))).toBe(false);
    });

    it('is noticed when the edit hides its time', async () => {
      const { atime, mtime } = statSync(output());
      await edit(output(), 0);
      utimesSync(output(), atime, mtime);
      await expect(readPiece(task, 0)).rejects.toMatchObject({ code: 'not-found' });
    });

    it('does not lengthen later outputs when a user appends to it', async () => {
      appendFileSync(output(), 'more');
      await task.linkTo(outputs.file('second'));
      expect(readFileSync(outputs.file('second'))).toEqual(CONTENT);
      expect(readFileSync(output())).toHaveLength(CONTENT.length + 4);
    });

    it('loses what a user cut off, and nothing else', async () => {
      const file = await openFile(output(), 'r+');
      await file.truncate(2100);
      await file.close();
      await expect(task.ensureVerified()).resolves.toEqual([2, 3, 4]);
      await storeContent(task, CONTENT);
      expect(statSync(output()).size).toBe(2100);
      await expect(readPiece(task, 4)).resolves.toEqual(CONTENT.subarray(4000));
    });

    it('may be deleted or edited and deleted', async () => {
      await edit(output(), 100);
      unlinkSync(output());
      await expect(task.ensureVerified()).resolves.toEqual([0]);
      await storeContent(task, CONTENT);
      await task.linkTo(output());
      expect(readFileSync(output())).toEqual(CONTENT);
    });

    it('costs no check when it is only deleted', async () => {
      const before = statSync(contentPath()).atimeMs;
      await task.linkTo(outputs.file('second'), { mode: 'hard-link-only' });
      unlinkSync(output());
      await expect(task.ensureVerified()).resolves.toEqual([]);
      unlinkSync(outputs.file('second'));
      await expect(task.ensureVerified()).resolves.toEqual([]);
      expect(statSync(contentPath()).atimeMs).toBe(before);
    });

    it('costs no check as long as nobody touches it', async () => {
      await task.linkTo(outputs.file('second'), { mode: 'hard-link-only' });
      const before = statSync(contentPath()).atimeMs;
      await expect(task.ensureVerified()).resolves.toEqual([]);
      expect(statSync(contentPath()).atimeMs).toBe(before);
      expect(task.isComplete).toBe(true);
    });
  });
});
