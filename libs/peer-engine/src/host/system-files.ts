import { readFile, statfs } from 'node:fs/promises';

export interface FileSystemSize {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Free for this account; less than `freeBytes` where blocks are reserved. */
  readonly availableBytes: number;
  readonly inodesTotal: number;
  readonly inodesFree: number;
}

/** What the figures are read from; tests give canned texts. */
export interface SystemFiles {
  /** Text of a file under `/proc` or `/sys`; undefined when it is missing or unreadable. */
  read(path: string): Promise<string | undefined>;
  /** @throws errno when the path does not exist */
  fileSystemOf(path: string): Promise<FileSystemSize>;
}

export const LINUX_FILES: SystemFiles = {
  async read(path) {
    try {
      return await readFile(path, 'utf8');
    } catch {
      // Which of these files exist depends on kernel and container; a missing one means a missing figure.
      return undefined;
    }
  },
  async fileSystemOf(path) {
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path);
    return {
      totalBytes: blocks * bsize,
      freeBytes: bfree * bsize,
      availableBytes: bavail * bsize,
      inodesTotal: files,
      inodesFree: ffree,
    };
  },
};

/** `name value` or `name: value kB` lines as a map from name to number. */
export function numbersByName(text: string): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([\w()]+):?\s+(\d+)/.exec(line);
    if (match?.[1] !== undefined) numbers.set(match[1], Number(match[2]));
  }
  return numbers;
}
