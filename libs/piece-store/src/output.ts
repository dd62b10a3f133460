import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, lstat, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';
import type { FileCloner } from './file-cloner.js';
import { changeOwner, closeFile, ifPresent, openFile, readFully, statOpenFile, writeFully } from './file-io.js';

const COPY_BUFFER_BYTES = 1 << 20;
/** A file system that cannot share the bytes this way; another way is tried. */
const CANNOT_SHARE: ReadonlySet<string> = new Set([
  'EXDEV',
  'EPERM',
  'EACCES',
  'EMLINK',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EINVAL',
  'ENOTTY',
]);

export type OutputMode = 'auto' | 'hard-link-only' | 'copy-only';
export type OutputOutcome = 'linked' | 'reflinked' | 'copied';

export interface OutputOptions {
  /** Replace an existing file (atomically). @default false: `already-exists` */
  readonly overwrite?: boolean;
  /**
   * How the bytes get there.
   * - `auto`: reflink (shared blocks, private file) where the file system can, else a hard link, else a copy. No hard
   *   link to another owner than the store's: one file has one owner.
   * - `hard-link-only`: a hard link or an error.
   * - `copy-only`: reflink or copy; the output never shares a file with the store.
   * @default 'auto'
   */
  readonly mode?: OutputMode;
  /** Who shall own the output; takes effect when the process may chown (root). */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Only this part of the content, always as a copy. */
  readonly range?: { readonly startBytes: number; readonly lengthBytes: number };
  readonly signal?: AbortSignal;
}

/**
 * Puts the file `source` at `target`, which is visible only when it is whole: made under a temporary name in the same
 * directory, then linked or renamed.
 * @throws DfError `already-exists`, `not-found` (no such directory), `permission-denied`, `no-space`,
 *   `invalid-argument` (target is a directory or a device), `failed-precondition` (`hard-link-only` is impossible)
 */
export async function placeOutput(
  source: string,
  target: string,
  options: OutputOptions,
  cloner: FileCloner,
): Promise<OutputOutcome> {
  options.signal?.throwIfAborted();
  if (await linkAtOnce(source, target, options, cloner)) return 'linked';
  const directory = path.dirname(target);
  const temporary = path.join(
    directory,
    `.${path.basename(target).slice(0, 64)}.${randomBytes(6).toString('hex')}.part`,
  );
  await refuseTarget(target, options.overwrite ?? false);
  try {
    const outcome = await makeTemporary(source, temporary, options, cloner);
    options.signal?.throwIfAborted();
    if (outcome !== 'linked') await giveTo(temporary, options.owner);
    await publish(temporary, target, options.overwrite ?? false);
    // Renaming one link of a file over another of the same file leaves both names.
    await ifPresent(unlink(temporary));
    return outcome;
  } catch (error) {
    // Where nothing could be made nothing can be removed either: the first failure is the one to tell.
    await unlink(temporary).catch(() => undefined);
    throw outputError(error, target);
  }
}

/**
 * A hard link shows the whole file in one step and replaces nothing: where it is what will come out anyway, and nothing is
 * in its way, no temporary name is needed.
 */
async function linkAtOnce(
  source: string,
  target: string,
  options: OutputOptions,
  cloner: FileCloner,
): Promise<boolean> {
  const mode = options.mode ?? 'auto';
  const isLink = mode === 'hard-link-only' || (mode === 'auto' && cloner.isHopeless && mayShareInode(options.owner));
  if (!isLink || options.range !== undefined) return false;
  try {
    await link(source, target);
    return true;
  } catch {
    // Whatever it was, the long way meets it again, and knows what to say or do about it.
    return false;
  }
}

async function makeTemporary(
  source: string,
  temporary: string,
  options: OutputOptions,
  cloner: FileCloner,
): Promise<OutputOutcome> {
  const mode = options.mode ?? 'auto';
  if (options.range !== undefined) {
    await copyRange(source, temporary, options.range, options.signal);
    return 'copied';
  }
  if (mode !== 'hard-link-only' && !cloner.isHopeless && (await shares(cloner.clone(source, temporary)))) {
    return 'reflinked';
  }
  if (mode !== 'copy-only' && (mode === 'hard-link-only' || mayShareInode(options.owner))) {
    if (await shares(link(source, temporary))) return 'linked';
    if (mode === 'hard-link-only') {
      throw new DfError('failed-precondition', 'a hard link is not possible there (another file system?)');
    }
  }
  await copyFile(source, temporary, constants.COPYFILE_EXCL);
  return 'copied';
}

async function shares(attempt: Promise<void>): Promise<boolean> {
  try {
    await attempt;
    return true;
  } catch (error) {
    if (isErrnoException(error) && error.code !== undefined && CANNOT_SHARE.has(error.code)) return false;
    throw error;
  }
}

function mayShareInode(owner: OutputOptions['owner']): boolean {
  return owner === undefined || owner.uid === process.getuid?.();
}

/**
 * Gives a file just made to its owner. The directory may be anybody's, and its owner may have put something else under the
 * name meanwhile: neither what a symbolic link points to nor a file with other names is given away.
 */
export async function giveTo(file: string, owner: OutputOptions['owner']): Promise<void> {
  if (owner === undefined || process.getuid?.() !== 0) return;
  const fd = await openFile(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await statOpenFile(fd);
    if (!found.isFile() || found.nlink !== 1n || found.uid !== 0n) {
      throw new DfError('failed-precondition', 'somebody replaced the file that was being made');
    }
    await changeOwner(fd, owner.uid, owner.gid);
  } finally {
    await closeFile(fd);
  }
}

async function publish(temporary: string, target: string, overwrite: boolean): Promise<void> {
  if (overwrite) {
    await rename(temporary, target);
    return;
  }
  // link() never replaces, rename() always does.
  if (await shares(link(temporary, target))) return;
  await refuseTarget(target, false);
  await rename(temporary, target);
}

async function refuseTarget(target: string, overwrite: boolean): Promise<void> {
  const existing = await ifPresent(lstat(target));
  if (existing === undefined) return;
  if (!existing.isFile() && !existing.isSymbolicLink()) {
    throw new DfError('invalid-argument', `output ${target}: is not a regular file`);
  }
  if (!overwrite) throw alreadyExists(target);
}

function alreadyExists(target: string): DfError {
  return new DfError('already-exists', `output ${target} exists already`, { details: { path: target } });
}

function outputError(error: unknown, target: string): DfError {
  if (error instanceof DfError) return error;
  if (isErrnoException(error) && error.code === 'EEXIST') return alreadyExists(target);
  const mapped = DfError.from(error);
  if (mapped.code === 'cancelled' || mapped.code === 'deadline-exceeded') return mapped;
  return new DfError(mapped.code, `output ${target}: ${mapped.message}`, {
    cause: error,
    details: { ...mapped.details, path: target },
  });
}

async function copyRange(
  source: string,
  target: string,
  range: { readonly startBytes: number; readonly lengthBytes: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  const from = await openFile(source, 'r');
  try {
    const to = await openFile(target, 'wx', 0o644);
    try {
      const buffer = Buffer.allocUnsafe(Math.min(COPY_BUFFER_BYTES, Math.max(1, range.lengthBytes)));
      for (let done = 0; done < range.lengthBytes;) {
        signal?.throwIfAborted();
        const part = buffer.subarray(0, Math.min(buffer.length, range.lengthBytes - done));
        if ((await readFully(from, part, range.startBytes + done)) < part.length) {
          throw new DfError('data-loss', 'the stored content is shorter than its task says');
        }
        await writeFully(to, part, done);
        done += part.length;
      }
    } finally {
      await closeFile(to);
    }
  } finally {
    await closeFile(from);
  }
}
