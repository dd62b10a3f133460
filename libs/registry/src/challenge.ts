/** One way of signing in that a server offers in `www-authenticate` (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** Lower case, e.g. `bearer`. */
  readonly scheme: string;
  /** Lower case names. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Longer headers are not looked at: no server sends them. */
const MAX_HEADER_LENGTH = 8_192;

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
/** A parameter, or the name of the next scheme. */
const ITEM = new RegExp(
  `\\s*,*\\s*(?:(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))|(${TOKEN})(?=\\s|,|$))`,
  'y',
);

/** Reads a `www-authenticate` value; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  if (header.length > MAX_HEADER_LENGTH) return challenges;
  const item = new RegExp(ITEM);
  for (let match = item.exec(header); match !== null; match = item.exec(header)) {
    const [, name, quoted, bare, scheme] = match;
    if (scheme !== undefined) {
      challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    } else if (name !== undefined) {
      const value = quoted === undefined ? (bare ?? '') : quoted.replaceAll(/\\(.)/g, '$1');
      const last = challenges.at(-1);
      if (last !== undefined) last.parameters[name.toLowerCase()] = value;
    }
  }
  return challenges;
}
