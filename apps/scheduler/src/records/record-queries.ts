import { open } from 'node:fs/promises';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { type DownloadEnd, type DownloadRecord, recordOfLine } from './download-record.js';
import type { Block } from './record-index.js';
import type { RecordFile, RecordLog } from './record-log.js';
import { type GroupOf, Summarizer, type Summary } from './summarizer.js';

/** One page looks through at most so much; it may then be short although others follow. */
const MAX_PAGE_SCAN_BYTES = 32 * 1024 * 1024;
/** Queries that may wait for the one that runs. */
const MAX_WAITING = 16;

/** Empty fields do not filter; times are those of the ends of downloads. */
export interface RecordFilter {
  readonly sinceMs?: number;
  /** Exclusive. */
  readonly untilMs?: number;
  readonly taskId: string;
  readonly hostId: string;
  readonly application: string;
  readonly tag: string;
  readonly strategy: string;
  readonly taskType: string;
  readonly result?: DownloadEnd;
}

export interface RecordPage {
  readonly records: readonly DownloadRecord[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Where a page ends: the line before this offset is the next one. */
interface Position {
  readonly sequence: number;
  readonly offset: number;
}

/** Reads download records back. One query reads at a time: downloads are more important than looking at them. */
export class RecordQueries {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(private readonly log: RecordLog) {}

  /**
   * Newest first.
   * @throws DfError `invalid-argument` for a token that is none, `resource-exhausted` when too many queries wait
   */
  list(filter: RecordFilter, pageSize: number, pageToken: string, signal: AbortSignal): Promise<RecordPage> {
    const from = pageToken === '' ? undefined : positionOf(pageToken);
    return this.#oneAtATime(async () => {
      const files = [...(await this.log.files())].reverse();
      const records: DownloadRecord[] = [];
      let scannedBytes = 0;
      for (const file of files) {
        if (from !== undefined && file.sequence > from.sequence) continue;
        const endOffset = file.sequence === from?.sequence ? from.offset : Infinity;
        for (const block of file.index.blocks.toReversed()) {
          if (block.offset >= endOffset || !mayMatch(block, filter)) continue;
          signal.throwIfAborted();
          if (scannedBytes >= MAX_PAGE_SCAN_BYTES) {
            return {
              records,
              nextPageToken: tokenOf({ sequence: file.sequence, offset: block.offset + block.lengthBytes }),
            };
          }
          scannedBytes += block.lengthBytes;
          for (const line of (await linesOf(file, block)).reverse()) {
            if (line.offset >= endOffset) continue;
            const record = recordOfLine(line.text);
            if (record === undefined || !matches(record, filter)) continue;
            records.push(record);
            if (records.length === pageSize) {
              return { records, nextPageToken: tokenOf({ sequence: file.sequence, offset: line.offset }) };
            }
          }
        }
      }
      return { records, nextPageToken: '' };
    });
  }

  /**
   * Sums over all records that match, oldest interval first, largest groups first.
   * @param intervalMs 0 = one sum over everything
   * @throws DfError `resource-exhausted` when too many queries wait
   */
  summarize(
    filter: RecordFilter,
    intervalMs: number,
    groupOf: GroupOf,
    groupLimit: number,
    signal: AbortSignal,
  ): Promise<readonly Summary[]> {
    return this.#oneAtATime(async () => {
      const summarizer = new Summarizer(intervalMs, groupOf);
      for (const file of [...(await this.log.files())]) {
        for (const block of file.index.blocks.slice()) {
          if (!mayMatch(block, filter)) continue;
          signal.throwIfAborted();
          for (const { text } of await linesOf(file, block)) {
            const record = recordOfLine(text);
            if (record !== undefined && matches(record, filter)) summarizer.add(record);
          }
        }
      }
      return summarizer.result(groupLimit);
    });
  }

  async #oneAtATime<Result>(query: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= MAX_WAITING) throw new DfError('resource-exhausted', 'too many queries about downloads');
    this.#waiting += 1;
    const result = this.#last.then(query);
    this.#last = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      this.#waiting -= 1;
    }
  }
}

function mayMatch({ minMs, maxMs }: Block, { sinceMs = -Infinity, untilMs = Infinity }: RecordFilter): boolean {
  return maxMs >= sinceMs && minMs < untilMs;
}

function matches(record: DownloadRecord, filter: RecordFilter): boolean {
  const {
    sinceMs = -Infinity,
    untilMs = Infinity,
    taskId,
    hostId,
    application,
    tag,
    strategy,
    taskType,
    result,
  } = filter;
  return (
    record.endedAtMs >= sinceMs &&
    record.endedAtMs < untilMs &&
    (taskId === '' || record.taskId === taskId) &&
    (hostId === '' || record.hostId === hostId) &&
    (application === '' || record.application === application) &&
    (tag === '' || record.tag === tag) &&
    (strategy === '' || record.strategy === strategy) &&
    (taskType === '' || record.taskType === taskType) &&
    (result === undefined || record.result === result)
  );
}

interface Line {
  /** Of its first byte in the file. */
  readonly offset: number;
  readonly text: string;
}

/** The lines of a block; none when the file has been deleted meanwhile. */
async function linesOf(file: RecordFile, { offset, lengthBytes }: Block): Promise<Line[]> {
  const bytes = Buffer.alloc(lengthBytes);
  try {
    const handle = await open(file.path, 'r');
    try {
      await handle.read(bytes, 0, lengthBytes, offset);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return [];
    throw DfError.from(error);
  }
  const lines: Line[] = [];
  let from = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
    lines.push({ offset: offset + from, text: bytes.toString('utf8', from, end) });
    from = end + 1;
  }
  return lines;
}

function tokenOf({ sequence, offset }: Position): string {
  return Buffer.from(`${sequence}:${offset}`).toString('base64url');
}

function positionOf(token: string): Position {
  const [, sequence, offset] = /^(\d{1,15}):(\d{1,15})$/.exec(Buffer.from(token, 'base64url').toString()) ?? [];
  if (sequence === undefined || offset === undefined) {
    throw new DfError('invalid-argument', 'ListDownloadsRequest.page_token: is not from an earlier answer');
  }
  return { sequence: Number(sequence), offset: Number(offset) };
}
