import { DEFAULT_FILTERED_QUERY_PARAMS } from '@dragonfly/ids';

/** Stands for what is not shown. */
const HIDDEN = '***';

const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i;
/** Query parameters of signed URLs, by name in lower case. */
const SIGNING_PARAMS: ReadonlySet<string> = new Set(
  DEFAULT_FILTERED_QUERY_PARAMS.filter((name) => name !== 'ns').map((name) => name.toLowerCase()),
);
const SECRET_NAME =
  /token|secret|passw|credential|signature|authori[sz]ation|api[-_]?key|access[-_]?key|^(sig|key|auth)$/i;

/**
 * A URL as others may see it: without user name and password, and with the values of query parameters hidden that sign
 * it or are named like a secret. Everybody who may ask the scheduler sees all tasks; whoever needs the whole URL has it.
 */
export function shownUrl(url: string): string {
  const withoutUser = url.replace(USER_INFO, '$1');
  const queryAt = withoutUser.indexOf('?');
  if (queryAt < 0) return withoutUser;
  const fragmentAt = withoutUser.indexOf('#', queryAt);
  const queryEnd = fragmentAt < 0 ? withoutUser.length : fragmentAt;
  const query = withoutUser
    .slice(queryAt + 1, queryEnd)
    .split('&')
    .map((pair) => {
      const name = pair.slice(0, Math.max(0, pair.indexOf('=')));
      return name !== '' && isSecret(name) ? `${name}=${HIDDEN}` : pair;
    })
    .join('&');
  return `${withoutUser.slice(0, queryAt + 1)}${query}${withoutUser.slice(queryEnd)}`;
}

function isSecret(encodedName: string): boolean {
  const name = decoded(encodedName);
  return SIGNING_PARAMS.has(name.toLowerCase()) || SECRET_NAME.test(name);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Not encoded as it should be: judged as it stands.
  }
}
