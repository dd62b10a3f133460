import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import { type DownloadRecord, lineOfRecord } from './download-record.js';
import type { RecordSink } from './download-recorder.js';
import { FileIndex, timeOfLine } from './record-index.js';

/** Bytes that may wait to be written; beyond, records are dropped and counted. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
/** So many waiting bytes are written at once, without waiting for the interval. */
const FLUSH_BYTES = 256 * 1024;
/** A disk that takes no records is told this often. */
const LOG_INTERVAL_MS = 60_000;
/** Longest line that is read back; ours are far shorter. */
const MAX_LINE_BYTES = 1024 * 1024;
const FILE_NAME = /^downloads-(\d{10})\.jsonl$/;

export interface RecordLogOptions {
  readonly directory: string;
  /** A file that has grown to this is followed by another. */
  readonly maxFileBytes: number;
  /** Files that are kept, the one being written included. */
  readonly maxFiles: number;
  /** Records wait at most so long for being written. */
  readonly flushIntervalMs: number;
  readonly log: Logger;
}

/** One file and what is known about it. */
export interface RecordFile {
  readonly sequence: number;
  readonly path: string;
  readonly index: FileIndex;
}

interface Pending {
  readonly line: Buffer;
  readonly endedAtMs: number;
}

/**
 * Download records in files of bounded size and number, oldest deleted first.
 *
 * Adding is cheap and never waits: lines are written in batches. What a crash loses is what came since the last batch; a
 * line that it cut is skipped by whoever reads. A disk that is full or cannot be written costs records and nothing else.
 */
export class RecordLog implements RecordSink {
  /** In order of their sequence; the last is the one being written. */
  readonly #files: RecordFile[] = [];
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #handle: FileHandle | undefined;
  /** The end of the file is not a line end: a write was cut. */
  #isTorn = false;
  #timer: NodeJS.Timeout | undefined;
  /** Everything that touches files happens one after another. */
  #work: Promise<void>;
  #isClosed = false;
  #loggedAtMs = -Infinity;
  #written = 0;
  #dropped = 0;

  constructor(private readonly options: RecordLogOptions) {
    this.#work = this.#scan();
  }

  /** Records written since the start. */
  get writtenCount(): number {
    return this.#written;
  }

  /** Records lost because they could not be written. */
  get droppedCount(): number {
    return this.#dropped;
  }

  add(record: DownloadRecord): void {
    if (this.#isClosed) return;
    const line = Buffer.from(`${lineOfRecord(record)}\n`);
    if (this.#pendingBytes + line.length > MAX_PENDING_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#pending.push({ line, endedAtMs: record.endedAtMs });
    this.#pendingBytes += line.length;
    if (this.#pendingBytes >= FLUSH_BYTES && this.#pendingBytes - line.length < FLUSH_BYTES) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), this.options.flushIntervalMs).unref();
  }

  /** Writes what waits. Never fails: what cannot be written is kept for the next time, as far as there is room. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#work = this.#work.then(() => this.#write());
    return this.#work;
  }

  /** The files, oldest first, with everything written that was added before. */
  async files(): Promise<readonly RecordFile[]> {
    await this.flush();
    return this.#files;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    await this.#handle?.close();
    this.#handle = undefined;
  }

  /** Reads what an earlier run left. */
  async #scan(): Promise<void> {
    const { directory } = this.options;
    try {
      await mkdir(directory, { recursive: true });
      const names = (await readdir(directory)).filter((name) => FILE_NAME.test(name)).sort();
      for (const name of names) {
        const file: RecordFile = {
          sequence: Number(FILE_NAME.exec(name)?.[1]),
          path: path.join(directory, name),
          index: new FileIndex(),
        };
        this.#isTorn = await indexFile(file);
        this.#files.push(file);
      }
    } catch (error) {
      this.#complain(error);
    }
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      // What comes while it is written is for the next one.
      const batch = this.#pending;
      this.#pending = [];
      try {
        const file = await this.#current();
        const chunk = Buffer.concat(batch.map(({ line }) => line));
        await this.#append(file, chunk);
        file.index.append(batch.map(({ line, endedAtMs }) => ({ endedAtMs, lengthBytes: line.length })));
        this.#pendingBytes -= chunk.length;
        this.#written += batch.length;
      } catch (error) {
        this.#complain(error);
        this.#pending = [...batch, ...this.#pending];
        // Opened anew at the next attempt, which comes with the next record.
        await this.#handle?.close().catch(() => undefined);
        this.#handle = undefined;
        return;
      }
    }
  }

  async #append(file: RecordFile, chunk: Buffer): Promise<void> {
    const handle = (this.#handle ??= await open(file.path, 'a'));
    if (this.#isTorn) {
      await handle.appendFile('\n');
      file.index.append([{ endedAtMs: undefined, lengthBytes: 1 }]);
      this.#isTorn = false;
    }
    try {
      await handle.appendFile(chunk);
    } catch (error) {
      // Some of it may stand in the file: counted as what it is, a line that says nothing.
      const { size } = await stat(file.path);
      const lengthBytes = size - file.index.lengthBytes;
      if (lengthBytes > 0) file.index.append([{ endedAtMs: undefined, lengthBytes }]);
      this.#isTorn = lengthBytes > 0;
      throw error;
    }
  }

  /** The file to write to: the last one, or a new one when that is full. */
  async #current(): Promise<RecordFile> {
    const { directory, maxFileBytes, maxFiles } = this.options;
    const last = this.#files.at(-1);
    if (last !== undefined && last.index.lengthBytes < maxFileBytes) return last;
    await mkdir(directory, { recursive: true });
    const sequence = (last?.sequence ?? 0) + 1;
    const file: RecordFile = {
      sequence,
      path: path.join(directory, `downloads-${String(sequence).padStart(10, '0')}.jsonl`),
      index: new FileIndex(),
    };
    await this.#handle?.close();
    this.#handle = undefined;
    this.#isTorn = false;
    const handle = await open(file.path, 'a');
    this.#handle = handle;
    this.#files.push(file);
    while (this.#files.length > maxFiles) {
      const oldest = this.#files.shift();
      if (oldest !== undefined) await rm(oldest.path, { force: true });
    }
    return file;
  }

  #complain(error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs < LOG_INTERVAL_MS) return;
    this.#loggedAtMs = nowMs;
    const { directory, log } = this.options;
    log.warn({ directory, reason: DfError.from(error).message }, 'download records cannot be written');
  }
}

/**
 * Builds the index of a file.
 * @returns whether the file ends within a line
 */
async function indexFile(file: RecordFile): Promise<boolean> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file.path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const lines: { endedAtMs: number | undefined; lengthBytes: number }[] = [];
    let from = 0;
    for (let end = bytes.indexOf(10, from); end >= 0; end = bytes.indexOf(10, from)) {
      lines.push({
        endedAtMs: timeOfLine(bytes.toString('utf8', from, Math.min(end, from + 64))),
        lengthBytes: end + 1 - from,
      });
      from = end + 1;
    }
    file.index.append(lines);
    rest = bytes.subarray(from);
    if (rest.length > MAX_LINE_BYTES) {
      file.index.append([{ endedAtMs: undefined, lengthBytes: rest.length }]);
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length === 0) return false;
  file.index.append([{ endedAtMs: undefined, lengthBytes: rest.length }]);
  return true;
}
