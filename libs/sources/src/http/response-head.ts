/*
 * The head of an HTTP/1.1 answer: status line, header lines, empty line. Strict: what two readers could understand
 * differently is refused instead of guessed at.
 */

/** Of one whole head, with all its lines. */
export const MAX_HEAD_BYTES = 64 << 10;
/** Of one head; more are a syntax error, as is a longer line. */
export const MAX_HEADER_LINES = 256;
export const MAX_LINE_BYTES = 16 << 10;

/** An answer that is no HTTP/1.1, or could be understood in two ways. */
export class HttpSyntaxError extends Error {
  override readonly name = 'HttpSyntaxError';
}

export interface ResponseHead {
  readonly minorVersion: 0 | 1;
  readonly statusCode: number;
  readonly reason: string;
  /** Lower case names; repeated lines joined with ", " in their order. */
  readonly headers: Readonly<Record<string, string>>;
}

/** How the body's end is found (RFC 9112 §6.3). */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly lengthBytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;

/**
 * @param head everything up to and including the empty line
 * @throws HttpSyntaxError
 */
export function parseResponseHead(head: Uint8Array): ResponseHead {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  if (text.length > MAX_HEAD_BYTES) throw new HttpSyntaxError(`the head is longer than ${MAX_HEAD_BYTES} bytes`);
  if (!text.endsWith('\r\n\r\n')) throw new HttpSyntaxError('the head does not end with an empty line');
  const [statusLine, ...lines] = text.slice(0, -4).split('\r\n');
  const status = STATUS_LINE.exec(statusLine ?? '');
  if (status === null) throw new HttpSyntaxError(`status line ${quote(statusLine ?? '')}`);
  if (lines.length > MAX_HEADER_LINES) throw new HttpSyntaxError(`more than ${MAX_HEADER_LINES} header lines`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    if (line.length > MAX_LINE_BYTES) throw new HttpSyntaxError(`a header line is longer than ${MAX_LINE_BYTES} bytes`);
    const match = HEADER_LINE.exec(line);
    if (match === null) throw new HttpSyntaxError(`header line ${quote(line)}`);
    const name = (match[1] ?? '').toLowerCase();
    const value = match[2] ?? '';
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return {
    minorVersion: status[1] === '1' ? 1 : 0,
    statusCode: Number(status[2]),
    reason: (status[3] ?? '').trim(),
    headers: Object.fromEntries(headers),
  };
}

/** @throws HttpSyntaxError for lengths and codings that leave the end of the body open to interpretation */
export function framingOf(head: ResponseHead, method: 'GET' | 'HEAD'): BodyFraming {
  const length = contentLengthOf(head);
  if (method === 'HEAD' || head.statusCode < 200 || head.statusCode === 204 || head.statusCode === 304) {
    return { kind: 'none' };
  }
  const coding = head.headers['transfer-encoding'];
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw new HttpSyntaxError(`transfer coding ${quote(coding)}`);
    if (length !== undefined) throw new HttpSyntaxError('both Content-Length and Transfer-Encoding');
    if (head.minorVersion === 0) throw new HttpSyntaxError('a chunked body in HTTP/1.0');
    return { kind: 'chunked' };
  }
  if (length === undefined) return { kind: 'until-close' };
  return length === 0 ? { kind: 'none' } : { kind: 'length', lengthBytes: length };
}

/**
 * The Content-Length; several equal ones count as one.
 * @throws HttpSyntaxError when it is not one plain decimal number up to 2^53-1
 */
export function contentLengthOf(head: ResponseHead): number | undefined {
  const text = head.headers['content-length'];
  if (text === undefined) return undefined;
  const values = new Set(text.split(',').map((value) => value.trim()));
  const [value] = values;
  const length = Number(value);
  if (values.size !== 1 || value === undefined || !/^\d{1,16}$/.test(value) || !Number.isSafeInteger(length)) {
    throw new HttpSyntaxError(`Content-Length ${quote(text)}`);
  }
  return length;
}

/** Whether the connection may carry another request once this body is read. */
export function keepsAlive(head: ResponseHead): boolean {
  const options = (head.headers['connection'] ?? '')
    .toLowerCase()
    .split(',')
    .map((option) => option.trim());
  if (options.includes('close')) return false;
  return head.minorVersion === 1 || options.includes('keep-alive');
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
