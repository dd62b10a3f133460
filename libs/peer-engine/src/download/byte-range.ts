import { DfError } from '@dragonfly/errors';
import type { ByteRange } from '@dragonfly/ids';

/** A part of a content, before its length is known. */
export type RangeSpec =
  | { readonly kind: 'span'; readonly start: number; readonly length: number }
  /** From `start` to the end. */
  | { readonly kind: 'from'; readonly start: number }
  /** The last `length` bytes. */
  | { readonly kind: 'suffix'; readonly length: number };

/**
 * Reads a `Range` header; of several ranges the first counts, as today's client does.
 * @throws DfError `failed-precondition` for anything that is no byte range
 */
export function parseRangeHeader(header: string): RangeSpec {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*(?:,.*)?$/.exec(header);
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) {
    throw new DfError('failed-precondition', `Range "${header}" is not a byte range`);
  }
  if (first === '') return { kind: 'suffix', length: safeInteger(last, header) };
  const start = safeInteger(first, header);
  if (last === '') return { kind: 'from', start };
  const end = safeInteger(last, header);
  if (end < start) throw new DfError('failed-precondition', `Range "${header}" ends before it begins`);
  return { kind: 'span', start, length: end - start + 1 };
}

/**
 * The bytes a range means, cut at the end of the content.
 * @throws DfError `failed-precondition` when no byte of the content lies in it
 */
export function resolveRange(range: RangeSpec, contentLengthBytes: number): ByteRange {
  const start =
    range.kind === 'suffix'
      ? Math.max(0, contentLengthBytes - range.length)
      : Math.min(range.start, contentLengthBytes);
  const wantedEnd = range.kind === 'span' ? range.start + range.length : contentLengthBytes;
  const length = Math.min(wantedEnd, contentLengthBytes) - start;
  if (length <= 0) {
    throw new DfError(
      'failed-precondition',
      `the range lies outside of the ${contentLengthBytes} bytes of the content`,
    );
  }
  return { start, length };
}

function safeInteger(digits: string, header: string): number {
  const value = Number(digits);
  if (!Number.isSafeInteger(value)) throw new DfError('failed-precondition', `Range "${header}" is too large`);
  return value;
}
