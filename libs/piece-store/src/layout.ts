import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { ifPresent } from './file-io.js';
import type { TaskKind } from './task-types.js';

/** Of the directory as a whole; a change that an older program would misread gets the next number. */
export const FORMAT_VERSION = 1;
const FORMAT_NAME = 'dragonfly-piece-store';
/** What may stand in a file name, and never `.` or `/`: ids come over the network. */
const TASK_ID_PATTERN = /^[0-9A-Za-z_-]{3,200}$/;
const SHARD_LENGTH = 3;

/** Where things are below the store's directory. */
export class StoreLayout {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = path.resolve(directory);
  }

  get versionPath(): string {
    return path.join(this.directory, 'version');
  }

  get journalRoot(): string {
    return path.join(this.directory, 'journal');
  }

  get dataRoot(): string {
    return path.join(this.directory, 'data');
  }

  /** @throws DfError `invalid-argument` for an id that cannot be a file name */
  journalPath(kind: TaskKind, id: string): string {
    return path.join(this.journalRoot, kind, shardOf(id), id);
  }

  contentPath(kind: TaskKind, id: string): string {
    return path.join(this.dataRoot, kind, shardOf(id), id);
  }
}

function shardOf(id: string): string {
  if (!TASK_ID_PATTERN.test(id)) {
    throw new DfError(
      'invalid-argument',
      `task id ${JSON.stringify(id)}: must be 3 to 200 letters, digits, "-" or "_"`,
    );
  }
  return id.slice(0, SHARD_LENGTH);
}

/**
 * Refuses a directory that is not ours to write in.
 * @throws DfError `failed-precondition` naming the directory and the way out
 */
export async function refuseForeignDirectory(layout: StoreLayout): Promise<void> {
  const entries = new Set((await ifPresent(readdir(layout.directory))) ?? []);
  if (entries.has('version')) return;
  if (entries.has('metadata') && entries.has('content')) {
    throw new DfError(
      'failed-precondition',
      `storage directory ${layout.directory} belongs to a Rust dfdaemon (it holds metadata/ and content/): ` +
        'set another storage.dir, or remove both directories if that daemon is gone for good',
      { details: { directory: layout.directory } },
    );
  }
}

/**
 * Checks the format-version file, or writes it into a new directory. Call it with the directory's lock held.
 * @throws DfError `failed-precondition` for a version this program does not know
 */
export async function checkFormatVersion(layout: StoreLayout): Promise<void> {
  const text = await ifPresent(readFile(layout.versionPath, 'utf8'));
  if (text === undefined) {
    const temporary = `${layout.versionPath}.new`;
    await writeFile(temporary, `${FORMAT_NAME} ${FORMAT_VERSION}\n`);
    await rename(temporary, layout.versionPath);
    return;
  }
  const [name, version] = text.trim().split(' ');
  if (name === FORMAT_NAME && version === String(FORMAT_VERSION)) return;
  throw new DfError(
    'failed-precondition',
    `storage directory ${layout.directory} has format "${text.trim().slice(0, 80)}", this program knows ` +
      `"${FORMAT_NAME} ${FORMAT_VERSION}": start the program that wrote it, or wipe it ` +
      `(rm -r ${layout.versionPath} ${layout.journalRoot} ${layout.dataRoot}); cached content is fetched again`,
    { details: { directory: layout.directory, found: text.trim().slice(0, 80), known: FORMAT_VERSION } },
  );
}

export async function createRoots(layout: StoreLayout): Promise<void> {
  // Other users of the machine get at content only through the outputs they were given.
  await mkdir(layout.journalRoot, { recursive: true, mode: 0o700 });
  await mkdir(layout.dataRoot, { recursive: true, mode: 0o700 });
}

/** Every journal and content file; the format stays recorded. */
export async function wipeContent(layout: StoreLayout): Promise<void> {
  await rm(layout.journalRoot, { recursive: true, force: true });
  await rm(layout.dataRoot, { recursive: true, force: true });
}

/** A file found two levels below a kind's directory. */
export interface StoredFile {
  readonly kind: TaskKind;
  readonly id: string;
  readonly path: string;
}

/**
 * Every file of one tree (`journalRoot` or `dataRoot`); names that are no task id are returned too, for clean-up. What is
 * neither a directory where one belongs nor a file where one belongs was put there by somebody else (a desktop's
 * `.DS_Store`, a file of NFS) and is passed over: it is no reason not to start.
 */
export async function* walkFiles(root: string, kinds: readonly TaskKind[]): AsyncGenerator<StoredFile> {
  for (const kind of kinds) {
    const kindDirectory = path.join(root, kind);
    for (const shard of (await ifPresent(readdir(kindDirectory, { withFileTypes: true }))) ?? []) {
      if (!shard.isDirectory()) continue;
      const shardDirectory = path.join(kindDirectory, shard.name);
      for (const file of await readdir(shardDirectory, { withFileTypes: true })) {
        if (file.isFile()) yield { kind, id: file.name, path: path.join(shardDirectory, file.name) };
      }
    }
  }
}
