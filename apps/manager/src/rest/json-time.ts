const ZERO_TIME = '0001-01-01T00:00:00Z';

/** RFC 3339 in UTC without trailing zeros of the fraction, as the original writes times; NULL is its zero time. */
export function jsonTime(date: Date | null | undefined): string {
  return date ? date.toISOString().replace(/\.?0*Z$/, 'Z') : ZERO_TIME;
}
