/** NAME_MAX of Linux, in bytes. */
const MAX_NAME_BYTES = 255;
/** Of ASCII, and those of Unicode's second block of control characters. */
const ENCODED_CONTROL = /%(?:[01][0-9a-f]|7f|c2%[89][0-9a-f])/gi;

/**
 * Name of the output when none is given: the last element of the URL path, decoded, or the host name when there is none.
 *
 * The name never leaves the directory it is put in: a decoded slash ends the name, and `.` and `..` count as none. What would
 * steer the terminal it is shown on (control characters) stays encoded.
 * @param url absolute, valid
 */
export function defaultOutputName(url: string): string {
  const { pathname, hostname } = new URL(url);
  const name =
    decoded(pathname)
      .split('/')
      .findLast((element) => element !== '') ?? '';
  const isUsable = name !== '.' && name !== '..';
  const chosen = isUsable && name !== '' ? name : hostname;
  return cutToNameLength(chosen === '' ? 'index' : chosen);
}

function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname.replaceAll(ENCODED_CONTROL, (encoded) => encoded.replaceAll('%', '%25')));
  } catch {
    // Not UTF-8 behind the percent signs: the name as it is written is as good as any.
    return pathname;
  }
}

function cutToNameLength(name: string): string {
  let cut = name;
  while (Buffer.byteLength(cut) > MAX_NAME_BYTES) cut = [...cut].slice(0, -1).join('');
  return cut;
}
