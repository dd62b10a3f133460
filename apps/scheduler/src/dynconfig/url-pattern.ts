import { setFlagsFromString } from 'node:v8';

const IGNORE_CASE = '(?i)';

/**
 * A URL pattern as the manager's users write it: in Go's dialect. Of what that has and JavaScript has not, the flag for
 * case at the beginning is understood.
 * @throws SyntaxError
 */
export function compilePattern(text: string): RegExp {
  return text.startsWith(IGNORE_CASE) ? new RegExp(text.slice(IGNORE_CASE.length), 'i') : new RegExp(text);
}

/**
 * Makes this process match patterns in time proportional to the text, as Go does, when backtracking gets out of hand.
 * Patterns come from the manager and URLs from any client: `(a+)+$` and thirty letters would otherwise stop the
 * scheduler for minutes. For a program's main file, before any pattern is compiled.
 */
export function boundPatternMatching(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
}
