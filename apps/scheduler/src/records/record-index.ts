import { LINE_PREFIX } from './download-record.js';

/** A block of a file grows up to about this; reading goes block by block. */
export const BLOCK_BYTES = 64 * 1024;

/** Consecutive whole lines of a file, and the times between which they lie. */
export interface Block {
  readonly offset: number;
  lengthBytes: number;
  minMs: number;
  maxMs: number;
}

/** Which times are where in one file. About one entry for every {@link BLOCK_BYTES}. */
export class FileIndex {
  readonly blocks: Block[] = [];
  lengthBytes = 0;

  /**
   * Takes whole lines that were appended.
   * @param lines with their line ends
   */
  append(lines: readonly { readonly endedAtMs: number | undefined; readonly lengthBytes: number }[]): void {
    for (const { endedAtMs, lengthBytes } of lines) {
      const last = this.blocks.at(-1);
      const isFull = last === undefined || last.lengthBytes + lengthBytes > BLOCK_BYTES;
      const block = isFull ? { offset: this.lengthBytes, lengthBytes: 0, minMs: Infinity, maxMs: -Infinity } : last;
      if (isFull) this.blocks.push(block);
      block.lengthBytes += lengthBytes;
      if (endedAtMs !== undefined) {
        block.minMs = Math.min(block.minMs, endedAtMs);
        block.maxMs = Math.max(block.maxMs, endedAtMs);
      }
      this.lengthBytes += lengthBytes;
    }
  }
}

/** The time that a line begins with, without reading the rest of it. */
export function timeOfLine(line: string): number | undefined {
  if (!line.startsWith(LINE_PREFIX)) return undefined;
  const end = line.indexOf(',', LINE_PREFIX.length);
  const timeMs = end < 0 ? NaN : Number(line.slice(LINE_PREFIX.length, end));
  return Number.isFinite(timeMs) ? timeMs : undefined;
}
