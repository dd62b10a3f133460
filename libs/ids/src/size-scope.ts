/** Size class of a task. The wire numbers of common.v2.SizeScope are in {@link SIZE_SCOPE_NUMBERS}. */
export type SizeScope = 'normal' | 'small' | 'tiny' | 'empty' | 'unknown';

/** Numbers of common.v2.SizeScope. */
export const SIZE_SCOPE_NUMBERS: Readonly<Record<SizeScope, number>> = {
  normal: 0,
  small: 1,
  tiny: 2,
  empty: 3,
  unknown: 4,
};

/** Longest content in bytes that counts as tiny. */
export const TINY_CONTENT_LENGTH_BYTES = 128;

/**
 * The size class of a task.
 *
 * @param contentLengthBytes `undefined` or negative while unknown
 * @param pieceCount `undefined` or negative while unknown
 */
export function sizeScope(contentLengthBytes: number | undefined, pieceCount: number | undefined): SizeScope {
  if (contentLengthBytes === undefined || pieceCount === undefined || contentLengthBytes < 0 || pieceCount < 0) {
    return 'unknown';
  }
  if (contentLengthBytes === 0) return 'empty';
  if (contentLengthBytes <= TINY_CONTENT_LENGTH_BYTES) return 'tiny';
  return pieceCount === 1 ? 'small' : 'normal';
}
