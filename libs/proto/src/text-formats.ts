import { isIP } from 'node:net';

/** Longest host name, and longest label of one (RFC 1034 §3.1). */
const MAX_HOSTNAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;

const LABEL_RE = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;
const SCHEME_RE = /^([a-z][a-z0-9+.-]*):/i;
const BROKEN_ESCAPE_RE = /%(?![0-9a-f]{2})/i;
/** What may stand in an unbracketed host besides percent escapes; bytes outside ASCII are let through. */
const HOST_RE = /^(?:[^\0-\x7f]|[a-z0-9\-._~!$&'()*+,;=:<>"%[\]])*$/i;
const USER_INFO_RE = /^[a-z0-9\-._:~!$&'()*+,;=%@]*$/i;
const PORT_RE = /^(?::[0-9]*)?$/;

/** Whether the text is an IPv4 or IPv6 address; a zone (`fe80::1%eth0`) is not part of an address. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

/** Whether the text is a host name by RFC 1034; one trailing dot is allowed. */
export function isHostname(text: string): boolean {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length > MAX_HOSTNAME_LENGTH) return false;
  return name.split('.').every((label) => label.length <= MAX_LABEL_LENGTH && LABEL_RE.test(label));
}

/**
 * Whether the text is a URI with a scheme, by the measure of Go's `net/url`, which today's servers use: any scheme
 * (`hdfs:`, `s3:`, `hf:`), no host needed, blanks allowed in the path. The URL class of Node is stricter in places and
 * laxer in others, so that a task accepted by one scheduler would be refused by the other.
 */
export function isAbsoluteUri(text: string): boolean {
  const scheme = SCHEME_RE.exec(text);
  if (scheme === null) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return false;
  }
  const [beforeFragment, fragment] = cut(text.slice(scheme[0].length), '#');
  if (BROKEN_ESCAPE_RE.test(fragment)) return false;
  const [hierarchy] = cut(beforeFragment, '?');
  if (!hierarchy.startsWith('/')) return true; // opaque: `mailto:a`
  if (!hierarchy.startsWith('//') || hierarchy.startsWith('///')) return !BROKEN_ESCAPE_RE.test(hierarchy);
  const pathStart = hierarchy.indexOf('/', 2);
  const authority = hierarchy.slice(2, pathStart < 0 ? undefined : pathStart);
  const path = pathStart < 0 ? '' : hierarchy.slice(pathStart);
  return isAuthority(authority) && !BROKEN_ESCAPE_RE.test(path);
}

/** `[user[:password]@]host[:port]`, the host possibly a bracketed IPv6 address. */
function isAuthority(authority: string): boolean {
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  if (at >= 0) {
    const userInfo = authority.slice(0, at);
    if (!USER_INFO_RE.test(userInfo) || BROKEN_ESCAPE_RE.test(userInfo)) return false;
  }
  if (host.startsWith('[')) {
    const end = host.lastIndexOf(']');
    return end > 0 && PORT_RE.test(host.slice(end + 1)) && HOST_RE.test(host.slice(1, end).replaceAll('%25', ''));
  }
  const colon = host.lastIndexOf(':');
  if (colon >= 0 && !PORT_RE.test(host.slice(colon))) return false;
  // Only escapes of bytes outside ASCII may stand in a host name.
  return HOST_RE.test(host) && !/%(?![89a-f][0-9a-f])/i.test(host);
}

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
