import { RE2JS } from 're2js';
import { requiredText } from './rest-schema.js';

/** Longest expression; the cost of a match grows with its length. */
export const MAX_PATTERN_LENGTH = 1_024;

/**
 * A regular expression in the syntax of RE2, as the original has it: whatever is written, a match takes time in
 * proportion to the text, never more.
 * @returns undefined for what is no expression, or too long
 */
export function compilePattern(expression: string): RE2JS | undefined {
  if (expression.length > MAX_PATTERN_LENGTH) {
    return undefined;
  }
  try {
    return RE2JS.compile(expression);
  } catch {
    // The one thing it throws for is an expression that it cannot read.
    return undefined;
  }
}

/** A regular expression that must be there. */
export function patternText() {
  return requiredText({
    max: MAX_PATTERN_LENGTH,
    check: { isGood: (expression) => compilePattern(expression) !== undefined, tag: 'regexp' },
  });
}
