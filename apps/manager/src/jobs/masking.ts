/** What stands for a secret wherever it is shown or stored in clear. */
export const MASK = '******';

/** Names of arguments, headers and query parameters whose values are secrets. */
const SECRET_NAME = /password|secret|token|authorization|cookie|credential|signature|access[-_]?key|api[-_]?key/i;

/**
 * A copy in which secrets are masked: values under names that say so, and in URLs the user information and the query
 * parameters of signatures. Empty values stay empty, so that one sees that there is none.
 * @returns the copy, and whether anything was masked
 */
export function masked<T>(value: T): { shown: T; hasSecrets: boolean } {
  let hasSecrets = false;
  const mask = (text: string): string => {
    if (text === '') {
      return text;
    }
    hasSecrets = true;
    return MASK;
  };
  const visit = (part: unknown, isSecret: boolean): unknown => {
    if (typeof part === 'string') {
      return isSecret ? mask(part) : maskedUrl(part, mask);
    }
    if (Array.isArray(part)) {
      return part.map((element) => visit(element, isSecret));
    }
    if (typeof part === 'object' && part !== null) {
      return Object.fromEntries(
        Object.entries(part).map(([name, inner]) => [name, visit(inner, isSecret || SECRET_NAME.test(name))]),
      );
    }
    return part;
  };
  return { shown: visit(value, false) as T, hasSecrets };
}

function maskedUrl(text: string, mask: (secret: string) => string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return text;
  }
  const withoutUser = text.replace(
    /^([a-z][a-z0-9+.-]*:\/\/)([^/?#@]+)@/i,
    (_all, scheme: string, user: string) => `${scheme}${mask(user)}@`,
  );
  return withoutUser.replace(/([?&])([^=&#]+)=([^&#]*)/g, (all, mark: string, name: string, value: string) =>
    SECRET_NAME.test(name) ? `${mark}${name}=${mask(value)}` : all,
  );
}

/** A URL as it may be logged: without user information, query and fragment. */
export function plainUrl(text: string): string {
  const url = URL.parse(text);
  return url ? `${url.protocol}//${url.host}${url.pathname}` : '(no URL)';
}
