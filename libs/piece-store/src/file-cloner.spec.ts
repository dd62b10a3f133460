import { readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { tempDir, waitFor, type TempDir } from '@dragonfly/testkit';
import { FileCloner } from './file-cloner.js';
import { placeOutput } from './output.js';

/** A file system that has said that it shares no blocks. */
class HopelessCloner extends FileCloner {
  override get isHopeless(): boolean {
    return true;
  }

  override async clone(): Promise<void> {
    throw new Error('asked again');
  }
}

let dir: TempDir;

beforeEach(() => {
  dir = tempDir('cloner');
  writeFileSync(dir.file('content'), 'content');
});

afterEach(() => {
  dir.remove();
});

describe('FileCloner', () => {
  it('makes a file of its own, or leaves none and says whether asking again is of use', async () => {
    const cloner = new FileCloner();
    try {
      await cloner.clone(dir.file('content'), dir.file('clone'));
    } catch (error) {
      expect(cloner.isHopeless).toBe(true);
      expect(error).toMatchObject({ syscall: 'copyfile' });
      expect(readdirSync(dir.path)).toEqual(['content']);
      return;
    }
    expect(cloner.isHopeless).toBe(false);
    expect(readFileSync(dir.file('clone'), 'utf8')).toBe('content');
  });

  it('does not give a file system up because one target cannot be made', async () => {
    const cloner = new FileCloner();
    await expect(cloner.clone(dir.file('content'), dir.file('none', 'clone'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
    expect(cloner.isHopeless).toBe(false);
  });
});

describe('an output where blocks cannot be shared', () => {
  it.each([false, true])('is linked under its own name at once (overwrite: %s)', async (overwrite) => {
    const seen = new Set<string | null>();
    const watcher = watch(dir.path, (_event, name) => seen.add(name));
    try {
      const outcome = await placeOutput(dir.file('content'), dir.file('out'), { overwrite }, new HopelessCloner());
      expect(outcome).toBe('linked');
      await waitFor(() => seen.has('out'), { what: 'the new name to be told' });
      expect([...seen]).toEqual(['out']);
    } finally {
      watcher.close();
    }
    expect(statSync(dir.file('out')).ino).toBe(statSync(dir.file('content')).ino);
  });

  it('is private when another owner is to have it', async () => {
    const uid = (process.getuid?.() ?? 0) + 1;
    const options = { owner: { uid, gid: uid } };
    expect(await placeOutput(dir.file('content'), dir.file('out'), options, new HopelessCloner())).toBe('copied');
    expect(statSync(dir.file('out')).ino).not.toBe(statSync(dir.file('content')).ino);
  });
});
