/** Hosts that one scheduler names for one task, and that a reader takes from all of them together. */
export const MAX_HOLDERS = 8;
/** Longer texts are not written by a scheduler of ours. */
const MAX_RECORD_LENGTH = 32 * 1024;
const MAX_ID_LENGTH = 1024;

/** A host that has a task, or some of it. */
export interface Holder {
  readonly hostId: string;
  readonly peerId: string;
  /** It has the whole content. */
  readonly isComplete: boolean;
}

/** What a scheduler tells the others of its cluster about a task. */
export interface HolderRecord {
  readonly contentLengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly pieceCount: number;
  readonly holders: readonly Holder[];
}

export function encodeHolders(record: HolderRecord): string {
  return JSON.stringify(record);
}

/** @returns undefined for anything but what {@link encodeHolders} makes of at most {@link MAX_HOLDERS} holders */
export function decodeHolders(text: string): HolderRecord | undefined {
  if (text.length > MAX_RECORD_LENGTH) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Written by somebody else; the others' words count all the same.
  }
  if (!isObject(value)) return undefined;
  const { contentLengthBytes, pieceLengthBytes, pieceCount, holders } = value;
  if (!isCount(contentLengthBytes) || !isCount(pieceLengthBytes) || !isCount(pieceCount)) return undefined;
  if (!Array.isArray(holders) || holders.length > MAX_HOLDERS || !holders.every(isHolder)) return undefined;
  return { contentLengthBytes, pieceLengthBytes, pieceCount, holders };
}

function isHolder(value: unknown): value is Holder {
  return isObject(value) && isId(value['hostId']) && isId(value['peerId']) && typeof value['isComplete'] === 'boolean';
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
