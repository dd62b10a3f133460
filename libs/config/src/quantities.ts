import { z } from 'zod';

/** Milliseconds of each unit a duration may be written in. */
const MS_OF_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Longest duration accepted: 100 years, so that every sum with a time of day stays an exact number. */
const MAX_DURATION_MS = 100 * 365 * 86_400_000;

/**
 * Reads a duration such as `30s`, `1h30m`, `1h0m0s`, `500ms` or `0`.
 *
 * Accepts the union of what Go (`time.ParseDuration`) and Rust (`humantime`) configurations of Dragonfly use.
 * @returns milliseconds, possibly fractional
 * @throws RangeError naming the text
 */
export function parseDuration(text: string): number {
  const compact = text.trim().replace(/\s+/g, '');
  if (compact === '0') return 0;
  const part = /(\d+(?:\.\d+)?)([a-zµ]+)/y;
  let totalMs = 0;
  let end = 0;
  while (end < compact.length) {
    part.lastIndex = end;
    const match = part.exec(compact);
    const unitMs = match?.[2] === undefined ? undefined : MS_OF_UNIT[match[2]];
    if (match === null || unitMs === undefined) {
      throw new RangeError(`"${text}" is not a duration such as 30s or 1h30m`);
    }
    totalMs += Number(match[1]) * unitMs;
    end = part.lastIndex;
  }
  if (end === 0) throw new RangeError(`"${text}" is not a duration such as 30s or 1h30m`);
  if (totalMs > MAX_DURATION_MS) throw new RangeError(`"${text}" is longer than 100 years`);
  return totalMs;
}

const UNIT_PREFIXES = ['', 'k', 'm', 'g', 't', 'p'];

/**
 * Reads a size such as `4MiB`, `50GB`, `1024Mi`, `20M`, `4mib` or a plain number of bytes.
 *
 * A unit with `i` is a power of 1024, one without a power of 1000, as in the Rust client. The Go client of the 2.0 line
 * read `20M` as 20 × 1024 × 1024: pass `binaryPrefixes` for its files.
 * @returns whole bytes
 * @throws RangeError naming the text
 */
export function parseByteSize(text: string, options: { readonly binaryPrefixes?: boolean } = {}): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?$/i.exec(text.trim());
  if (match === null) throw new RangeError(`"${text}" is not a size such as 4MiB or 50GB`);
  const [, digits = '', prefix = '', binary] = match;
  if (binary !== '' && prefix === '') throw new RangeError(`"${text}" is not a size such as 4MiB or 50GB`);
  const base = binary !== '' || options.binaryPrefixes === true ? 1024 : 1000;
  const bytes = Math.round(Number(digits) * base ** UNIT_PREFIXES.indexOf(prefix.toLowerCase()));
  if (!Number.isSafeInteger(bytes)) throw new RangeError(`"${text}" is too large`);
  return bytes;
}

/** Writes milliseconds the way configurations do: `1h30m`, `2.5s`, `40ms`, `0`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0';
  let restMs = durationMs;
  let text = '';
  for (const [unit, unitMs] of [
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  if (restMs >= 1000) return `${text}${Number((restMs / 1000).toFixed(3))}s`;
  if (restMs > 0) return `${text}${Number(restMs.toFixed(6))}ms`;
  return text;
}

/** Writes a number of bytes for people: `0 B`, `1.5 KiB`, `4 MiB`. At most one decimal. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}

function parsedString(parse: (text: string) => number, form: string) {
  return z.union([z.string(), z.number()], { error: `must be ${form}` }).transform((value, context) => {
    try {
      return parse(String(value));
    } catch (error) {
      context.addIssue({ code: 'custom', message: Error.isError(error) ? error.message : `must be ${form}` });
      return z.NEVER;
    }
  });
}

/**
 * A duration in a configuration; the parsed value is in milliseconds.
 *
 * A bare number is refused, but for 0: in Go it would mean nanoseconds and in people's minds seconds.
 */
export function duration() {
  return parsedString((text) => parseDuration(text), 'a duration such as 30s or 1h30m');
}

/** A size in a configuration; the parsed value is in bytes. A bare number is a number of bytes. */
export function byteSize(options: { readonly binaryPrefixes?: boolean } = {}) {
  return parsedString((text) => parseByteSize(text, options), 'a size such as 4MiB or 50GB');
}

/** A TCP or UDP port; 0 lets the system choose. */
export function port() {
  return z.coerce.number().int('must be a whole number').min(0, 'must be 0..65535').max(65_535, 'must be 0..65535');
}

/** A host name or an IP address without a port. */
export function host() {
  return z
    .string()
    .regex(/^[A-Za-z0-9_.:%-]*$/, 'must be a host name or an IP address, without a port')
    .max(253, 'must have at most 253 characters');
}
