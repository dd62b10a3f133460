/** Whether the name matches one of the patterns (`*` any text, `?` one character); without patterns every name does. */
export function matchesAny(name: string, patterns: readonly string[] | undefined): boolean {
  if (!patterns || patterns.length === 0) {
    return true;
  }
  return patterns.some((pattern) => matches(name, pattern));
}

/** Greedy with one point to come back to: linear for one star, at worst the product of both lengths. */
function matches(name: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    if (pattern[next] === '*') {
      star = next;
      starAt = at;
      next += 1;
    } else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === name[at])) {
      next += 1;
      at += 1;
    } else if (star >= 0) {
      next = star + 1;
      starAt += 1;
      at = starAt;
    } else {
      return false;
    }
  }
  while (pattern[next] === '*') {
    next += 1;
  }
  return next === pattern.length;
}
