import { constants } from 'node:fs';
import { copyFile, rename, stat, truncate, unlink } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { DfError } from '@dragonfly/errors';
import type { DescriptorCache } from './descriptor-cache.js';
import { closeFile, ifPresent, openFile, readFully, statOpenFile, syncFileData, truncateFile } from './file-io.js';
import type { Journal } from './journal.js';
import type { TaskState } from './task-state.js';
import type { StoreLog } from './task-types.js';

/** Read per step while checking; about a tenth of a millisecond of the event loop. */
const CHECK_BUFFER_BYTES = 256 << 10;
/** Buffers kept for the next check: 2 MiB, as many as a parent has children that ask for one piece each. */
const MAX_SPARE_BUFFERS = 8;

/**
 * Used again and again: a new buffer for every checked piece makes the garbage collector mark the whole heap time after
 * time, which cost more than half of the CPU of a parent whose output had been deleted.
 */
const spareBuffers: Buffer[] = [];

export interface ContentGuardOptions {
  readonly state: TaskState;
  readonly contentPath: string;
  readonly descriptors: DescriptorCache;
  readonly journal: Journal;
  readonly log: StoreLog;
}

/**
 * Stands between stored bytes and whoever reads them. Pieces become suspect in two ways, a power loss before they were
 * known to be on disk and a hard-linked output that somebody may have changed; a suspect piece is checked against its
 * crc32 once before it is used, and dropped when it is wrong.
 */
export class ContentGuard {
  readonly #options: ContentGuardOptions;
  readonly #checks = new Map<number, Promise<boolean>>();
  #linkCheck: Promise<void> | undefined;
  #generation = 0;

  constructor(options: ContentGuardOptions) {
    this.#options = options;
  }

  /** Changes when the content moves to another file: descriptors from before are the user's file then. */
  get generation(): number {
    return this.#generation;
  }

  /** @returns whether piece `number` may be read from `fd`; false = it was wrong and is absent now */
  async admit(number: number, fd: number): Promise<boolean> {
    const { table } = this.#options.state;
    await this.noticeEdits(fd);
    if (!table.has(number)) return false;
    if (!table.isSuspect(number)) return true;
    return this.#checkOnce(number);
  }

  /** Checks every suspect piece; costs nothing when there is none. @returns the numbers that were dropped */
  async admitAll(signal: AbortSignal | undefined): Promise<number[]> {
    const { state, descriptors, contentPath } = this.#options;
    if (state.linkStamp !== undefined) {
      const lease = await descriptors.acquire(contentPath);
      try {
        await this.noticeEdits(lease.fd);
      } finally {
        lease.release();
      }
    }
    const { table } = state;
    const dropped: number[] = [];
    for (let number = 0; number < table.end && table.suspectCount > 0; number += 1) {
      signal?.throwIfAborted();
      if (table.isSuspect(number) && !(await this.#checkOnce(number))) dropped.push(number);
    }
    return dropped;
  }

  /** Compares a hard-linked content file with what it was when the link was made; a change makes all pieces suspect. */
  noticeEdits(fd: number): Promise<void> {
    if (this.#options.state.linkStamp === undefined) return Promise.resolve();
    this.#linkCheck ??= this.#noticeEdits(fd).finally(() => {
      this.#linkCheck = undefined;
    });
    return this.#linkCheck;
  }

  async #noticeEdits(fd: number): Promise<void> {
    const { state, journal, log } = this.#options;
    const found = await statOpenFile(fd);
    const stamp = state.linkStamp;
    if (stamp === undefined) return;
    const hasSameContent = found.size === stamp.sizeBytes && found.mtimeNs === stamp.mtimeNs;
    if (hasSameContent && found.ctimeNs === stamp.ctimeNs) return;
    // Deleting an output, or linking it once more, changes the ctime too, and says so by the number of names. A ctime that
    // nothing explains (chmod, rename, an edit whose mtime was set back) makes the content suspect.
    const isExplained = hasSameContent && state.linkCount !== undefined && found.nlink !== state.linkCount;
    if (!isExplained) {
      log.debug({ taskId: state.id }, 'a hard-linked output was touched: its pieces are checked before their next use');
      state.table.suspectAll();
      await journal.append({ type: 'suspect' });
    }
    const length = state.contentLengthBytes;
    if (length !== undefined && found.size !== BigInt(length)) {
      // An output of the wrong length must not be given out again, even when every piece is still right.
      await this.#keepToOurselves();
      await truncate(this.#options.contentPath, length);
      return;
    }
    // The stamp is older than the checks that follow, so an edit during them is noticed the next time.
    state.linkStamp =
      found.nlink > 1n ? { sizeBytes: found.size, mtimeNs: found.mtimeNs, ctimeNs: found.ctimeNs } : undefined;
    state.linkCount = found.nlink;
    await journal.append(
      state.linkStamp === undefined ? { type: 'unlinked' } : { type: 'linked', stamp: state.linkStamp },
    );
  }

  #checkOnce(number: number): Promise<boolean> {
    const running = this.#checks.get(number);
    if (running !== undefined) return running;
    const check = this.#check(number).finally(() => this.#checks.delete(number));
    this.#checks.set(number, check);
    return check;
  }

  async #check(number: number): Promise<boolean> {
    const { state, journal, log, descriptors, contentPath } = this.#options;
    const { table } = state;
    for (;;) {
      const generation = this.#generation;
      const lease = await descriptors.acquire(contentPath);
      try {
        const actual = await crcOfRange(lease.fd, number * state.meta.pieceLengthBytes, table.lengthOf(number));
        if (generation !== this.#generation) continue;
        if (!table.isSuspect(number)) return table.has(number);
        if (actual !== table.crc32Of(number)) break;
        table.trust(number);
        await this.#noteTrust();
        return true;
      } finally {
        lease.release();
      }
    }
    log.warn({ taskId: state.id, pieceNumber: number }, 'a stored piece does not match its checksum: dropped');
    await this.#keepToOurselves();
    table.delete(number);
    state.isComplete = false;
    await journal.append({ type: 'dropped', number });
    await this.#noteTrust();
    return false;
  }

  /** After the last check: the next start need not check again, whatever happens to the power. */
  async #noteTrust(): Promise<void> {
    const { state, journal, descriptors, contentPath } = this.#options;
    if (state.table.suspectCount > 0) return;
    const lease = await descriptors.acquire(contentPath);
    try {
      await syncFileData(lease.fd);
    } finally {
      lease.release();
    }
    await journal.append({ type: 'trusted' });
  }

  /**
   * Before a dropped piece can be written again, the content file must not be the user's file any more. The copy
   * includes whatever the user wrote; all of it is suspect and checked.
   */
  async #keepToOurselves(): Promise<void> {
    const { state, contentPath, descriptors, journal, log } = this.#options;
    if (state.linkStamp === undefined) return;
    if ((await stat(contentPath)).nlink > 1) {
      const temporary = `${contentPath}.private`;
      try {
        await copyFile(contentPath, temporary, constants.COPYFILE_FICLONE);
        await rename(temporary, contentPath);
      } catch (error) {
        await ifPresent(unlink(temporary));
        log.warn(
          { taskId: state.id, error: DfError.from(error).message },
          'no room for a private copy: content dropped',
        );
        await this.#startOver();
      }
      descriptors.forget(contentPath);
      this.#generation += 1;
    }
    state.linkStamp = undefined;
    await journal.append({ type: 'unlinked' });
  }

  /** Leaves the old file to the user and begins an empty one of the same length. */
  async #startOver(): Promise<void> {
    const { state, contentPath, journal } = this.#options;
    for (const number of [...state.table.numbers()]) {
      state.table.delete(number);
      await journal.append({ type: 'dropped', number });
    }
    await ifPresent(unlink(contentPath));
    const fd = await openFile(contentPath, 'wx', 0o644);
    try {
      await truncateFile(fd, state.contentLengthBytes ?? 0);
    } finally {
      await closeFile(fd);
    }
  }
}

/** @returns undefined when the file ends before the range does */
async function crcOfRange(fd: number, offset: number, lengthBytes: number): Promise<number | undefined> {
  const buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(CHECK_BUFFER_BYTES);
  try {
    let value = 0;
    for (let done = 0; done < lengthBytes;) {
      const part = buffer.subarray(0, Math.min(buffer.length, lengthBytes - done));
      if ((await readFully(fd, part, offset + done)) < part.length) return undefined;
      value = crc32(part, value);
      done += part.length;
    }
    return value;
  } finally {
    if (spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(buffer);
  }
}
