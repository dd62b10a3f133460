/** How a download ended. `abandoned`: its stream ended without a result. */
export type DownloadEnd = 'succeeded' | 'failed' | 'abandoned';

/** Kind of the task, in the words of the protocol. */
export type TaskType = 'STANDARD' | 'PERSISTENT' | 'PERSISTENT_CACHE' | 'CACHE';

/** What came from one parent. */
export interface ParentShare {
  readonly peerId: string;
  readonly hostId: string;
  readonly bytes: number;
  readonly pieces: number;
  readonly failures: number;
}

/** One download by one peer, as it stands in the files: one JSON object a line, `endedAtMs` first. */
export interface DownloadRecord {
  /** Milliseconds since the epoch; records are in the order in which downloads ended. */
  readonly endedAtMs: number;
  readonly startedAtMs: number;
  readonly taskId: string;
  readonly peerId: string;
  readonly hostId: string;
  readonly hostname: string;
  readonly ip: string;
  readonly idc: string;
  readonly isSeed: boolean;
  readonly taskType: TaskType;
  /** Without query and user information. */
  readonly url: string;
  readonly application: string;
  readonly tag: string;
  readonly result: DownloadEnd;
  readonly description: string;
  readonly contentLengthBytes: number;
  readonly sourceBytes: number;
  readonly peerBytes: number;
  readonly seedBytes: number;
  /** What the host had already. */
  readonly localBytes: number;
  readonly crossIdcBytes: number;
  readonly pieceFailures: number;
  readonly strategy: string;
  readonly parents: readonly ParentShare[];
}

/** Prefix of every line; what stands behind it up to the comma is a number. */
export const LINE_PREFIX = '{"endedAtMs":';

export function lineOfRecord(record: DownloadRecord): string {
  const { endedAtMs, ...rest } = record;
  return JSON.stringify({ endedAtMs, ...rest });
}

/** @returns undefined for a line that is none, such as one that a crash has cut */
export function recordOfLine(line: string): DownloadRecord | undefined {
  if (!line.startsWith(LINE_PREFIX) || !line.endsWith('}')) return undefined;
  try {
    const record = JSON.parse(line) as DownloadRecord;
    return typeof record.taskId === 'string' && typeof record.endedAtMs === 'number' ? record : undefined;
  } catch {
    return undefined; // Torn: what it held is lost, the others are not.
  }
}
