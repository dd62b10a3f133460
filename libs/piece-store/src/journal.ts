import { rename, unlink, writeFile } from 'node:fs/promises';
import { DfError } from '@dragonfly/errors';
import type { DescriptorCache } from './descriptor-cache.js';
import { syncFileData, truncateFile, writeFully } from './file-io.js';
import { encodeRecord, JOURNAL_MAGIC, type JournalRecord } from './journal-record.js';
import type { SyncPolicy } from './task-types.js';

/** Records written with one system call; more than one only when records arrive faster than the disk takes them. */
const MAX_RECORDS_PER_BATCH = 1024;
/** A journal is rewritten when it is larger than this and more than twice what its live records need. */
const COMPACT_MIN_BYTES = 256 << 10;

interface PendingAppend {
  readonly records: readonly JournalRecord[];
  readonly frames: readonly Buffer[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface JournalOptions {
  readonly path: string;
  /** Length of the valid part of the file; appends go there. */
  readonly sizeBytes: number;
  readonly descriptors: DescriptorCache;
  readonly syncPolicy: SyncPolicy;
  /** Identifies this boot of the machine; written before the first append unless the journal already ends in it. */
  readonly bootId: string;
  readonly lastBootId: string | undefined;
  /** Forces the task's content to disk; called before piece records under `full`. */
  readonly syncContent: () => Promise<void>;
  /** The records that describe the task as it is now, for compaction. */
  readonly snapshot: () => JournalRecord[];
}

/**
 * The append-only record of one task. Appends are written in the order in which they were asked for; those that wait
 * for the disk together share one write (and one flush). A failed write rejects its batch and leaves the file at its
 * last good length.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #queue: PendingAppend[] = [];
  #sizeBytes: number;
  #compactedSizeBytes: number;
  #bootNoted: boolean;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#sizeBytes = options.sizeBytes;
    this.#compactedSizeBytes = options.sizeBytes;
    this.#bootNoted = options.lastBootId === options.bootId;
  }

  /** Creates the file with its first record; it stays open for the records that follow. @returns its length */
  static async create(path: string, header: JournalRecord, descriptors: DescriptorCache): Promise<number> {
    const content = Buffer.concat([JOURNAL_MAGIC, encodeRecord(header)]);
    const lease = await descriptors.create(path, 'wx+', 0o600);
    try {
      await writeFully(lease.fd, content, 0);
    } finally {
      lease.release();
    }
    return content.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Resolves when the records are written (and flushed, as the policy says).
   * @throws DfError `no-space`, `invalid-argument` for a record beyond `MAX_PAYLOAD_BYTES`
   */
  append(...records: JournalRecord[]): Promise<void> {
    if (this.#isClosed) return Promise.reject(new DfError('failed-precondition', 'the piece journal is closed'));
    return new Promise((resolve, reject) => {
      // Encoded here, so that a record too large to be read back fails alone.
      this.#queue.push({ records, frames: records.map(encodeRecord), resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Refuses further appends and waits for the ones under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      for (let batch = this.#takeBatch(); batch.length > 0; batch = this.#takeBatch()) {
        try {
          await this.#write(batch);
          for (const append of batch) append.resolve();
        } catch (error) {
          for (const append of batch) append.reject(DfError.from(error));
        }
      }
    } finally {
      this.#running = undefined;
    }
  }

  #takeBatch(): PendingAppend[] {
    return this.#queue.splice(0, MAX_RECORDS_PER_BATCH);
  }

  async #write(batch: readonly PendingAppend[]): Promise<void> {
    const { path, descriptors, syncPolicy, bootId } = this.#options;
    const records = batch.flatMap((append) => append.records);
    const frames = batch.flatMap((append) => append.frames);
    if (!this.#bootNoted) frames.unshift(encodeRecord({ type: 'boot', bootId }));
    if (syncPolicy === 'full' && records.some((record) => record.type === 'piece')) {
      // The records below promise bytes: those must be on disk first, and then need no check after a power loss.
      await this.#options.syncContent();
      frames.push(encodeRecord({ type: 'trusted' }));
    }
    const bytes = Buffer.concat(frames);
    const lease = await descriptors.acquire(path);
    try {
      try {
        await writeFully(lease.fd, bytes, this.#sizeBytes);
        if (syncPolicy !== 'none') await syncFileData(lease.fd);
      } catch (error) {
        // Recovery cuts a torn tail by itself; cutting it now keeps a rejected record from coming back.
        await truncateFile(lease.fd, this.#sizeBytes).catch(() => undefined);
        throw error;
      }
    } finally {
      lease.release();
    }
    this.#bootNoted = true;
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > COMPACT_MIN_BYTES && this.#sizeBytes > 2 * this.#compactedSizeBytes) {
      await this.#compact(records);
    }
  }

  /**
   * Replaces the file by one that holds only what is still true. The rename is atomic: a crash leaves the old journal
   * or the new one. Not done when it would not pay or when it fails; the journal is complete either way.
   * @param latest the batch just written: its owner has not heard of it yet, so the snapshot may lack it
   */
  async #compact(latest: readonly JournalRecord[]): Promise<void> {
    const { path, descriptors, syncPolicy } = this.#options;
    const content = Buffer.concat([JOURNAL_MAGIC, ...[...this.#options.snapshot(), ...latest].map(encodeRecord)]);
    this.#compactedSizeBytes = Math.max(content.length, COMPACT_MIN_BYTES / 2);
    if (content.length * 2 > this.#sizeBytes) return;
    const temporary = `${path}.compact`;
    try {
      await writeFile(temporary, content, { mode: 0o600, flush: syncPolicy !== 'none' });
      await rename(temporary, path);
    } catch {
      // No room for a second copy, most likely: go on with the long one.
      await unlink(temporary).catch(() => undefined);
      return;
    }
    descriptors.forget(path);
    this.#sizeBytes = content.length;
  }
}
