/** Value of a `Content-Range` header of unit bytes. */
export type ContentRange =
  | { readonly kind: 'part'; readonly startBytes: number; readonly endBytes: number; readonly totalBytes?: number }
  /** Of a 416 answer: `bytes ∗/1234`. */
  | { readonly kind: 'unsatisfied'; readonly totalBytes: number };

const PART = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i;
const UNSATISFIED = /^bytes \*\/(\d{1,16})$/i;

/**
 * @returns undefined for what is no valid byte range; `endBytes` is inclusive, as in the header
 */
export function parseContentRange(value: string): ContentRange | undefined {
  const unsatisfied = UNSATISFIED.exec(value.trim());
  if (unsatisfied !== null) return { kind: 'unsatisfied', totalBytes: Number(unsatisfied[1]) };
  const part = PART.exec(value.trim());
  if (part === null) return undefined;
  const startBytes = Number(part[1]);
  const endBytes = Number(part[2]);
  const totalBytes = part[3] === '*' ? undefined : Number(part[3]);
  if (endBytes < startBytes || !Number.isSafeInteger(endBytes)) return undefined;
  if (totalBytes !== undefined && (totalBytes <= endBytes || !Number.isSafeInteger(totalBytes))) return undefined;
  return { kind: 'part', startBytes, endBytes, totalBytes };
}
