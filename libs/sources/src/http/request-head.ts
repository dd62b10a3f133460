import { DfError } from '@dragonfly/errors';

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex -- exactly the control characters must not get through
const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/;

/**
 * Headers of the caller that are not passed on: they belong to one connection, or would make the origin send something
 * else than the plain, whole content that is going to be stored for everybody.
 */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  'accept-encoding',
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
]);

/** Not sent to another host than the one they were meant for. */
const CREDENTIAL_HEADERS: readonly string[] = ['authorization', 'cookie', 'cookie2', 'www-authenticate'];

export interface RequestHeadOptions {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: ReadonlyMap<string, string>;
  /** Absolute form, as a plain HTTP proxy wants it. */
  readonly viaProxy: boolean;
}

/**
 * The caller's headers as they go to the origin: lower case, checked, without `OWN_HEADERS`.
 * @throws DfError `invalid-argument` naming the header
 */
export function passableHeaders(headers: Readonly<Record<string, string>>): Map<string, string> {
  const passed = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(name)) {
      throw new DfError('invalid-argument', `header name ${JSON.stringify(name.slice(0, 80))}: must be an HTTP token`);
    }
    if (FORBIDDEN_IN_VALUE.test(value)) {
      throw new DfError('invalid-argument', `header ${name}: its value holds characters that HTTP does not allow`);
    }
    const lower = name.toLowerCase();
    if (!OWN_HEADERS.has(lower)) passed.set(lower, value.trim());
  }
  return passed;
}

/** What may go along with a redirect to another host. @returns a copy, also without `host` */
export function withoutCredentials(headers: ReadonlyMap<string, string>): Map<string, string> {
  const kept = new Map(headers);
  for (const name of [...CREDENTIAL_HEADERS, 'host']) kept.delete(name);
  return kept;
}

/** Through a proxy in absolute form; a user in the URL becomes Basic credentials, unless the headers have some. */
export function encodeRequestHead(options: RequestHeadOptions): Buffer {
  const { method, url, headers, viaProxy } = options;
  const target = `${url.pathname}${url.search}`;
  const lines = [
    `${method} ${viaProxy ? `${url.protocol}//${url.host}${target}` : target} HTTP/1.1`,
    `host: ${headers.get('host') ?? url.host}`,
  ];
  for (const [name, value] of headers) if (name !== 'host') lines.push(`${name}: ${value}`);
  if (url.username !== '' && !headers.has('authorization')) {
    const credentials = `${unescaped(url.username)}:${unescaped(url.password)}`;
    lines.push(`authorization: Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** A part of a URL as it is meant; one with a percent sign that begins no escape is meant as it stands. */
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
