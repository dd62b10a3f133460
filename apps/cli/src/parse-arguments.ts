import { DfError } from '@dragonfly/errors';
import { FLAGS, isLevelWord, isSupported, meaningOfShortP, type FlagName, type FlagSpec } from './flags.js';

/** Flags by canonical name as they were written, and the words that are no flags. */
export interface ParsedArguments {
  /** Last value of a flag; booleans are 'true' or 'false'. */
  readonly values: ReadonlyMap<FlagName, string>;
  /** All values of list flags, in order. */
  readonly lists: ReadonlyMap<FlagName, readonly string[]>;
  readonly positionals: readonly string[];
}

type Flag = FlagSpec & { readonly name: FlagName };

/** A mistake on the command line: exit code 2. */
export function usageError(message: string): DfError {
  return new DfError('invalid-argument', message, { details: { isUsage: true } });
}

/**
 * Reads a command line (without program name) in the forms of both generations: `--flag value`, `--flag=value`,
 * `-f value`, `-f=value`, `-fvalue`, bundled booleans (`-br`), `--` before words that begin with a dash.
 * @throws DfError from {@link usageError}
 */
export function parseArguments(words: readonly string[]): ParsedArguments {
  const parser = new Parser(words);
  parser.run();
  return parser;
}

class Parser implements ParsedArguments {
  readonly values = new Map<FlagName, string>();
  readonly lists = new Map<FlagName, string[]>();
  readonly positionals: string[] = [];
  #next = 0;

  constructor(private readonly words: readonly string[]) {}

  run(): void {
    for (let word = this.#take(); word !== undefined; word = this.#take()) {
      if (word === '--') {
        this.positionals.push(...this.words.slice(this.#next));
        return;
      }
      if (word.startsWith('--')) this.#long(word);
      else if (word.startsWith('-') && word !== '-') this.#shorts(word);
      else this.positionals.push(word);
    }
  }

  #take(): string | undefined {
    const word = this.words[this.#next];
    if (word !== undefined) this.#next++;
    return word;
  }

  #long(word: string): void {
    const equals = word.indexOf('=');
    const written = equals === -1 ? word : word.slice(0, equals);
    const flag = longFlag(written.slice(2));
    if (flag === undefined) throw unknownFlag(written);
    this.#set(flag, written, equals === -1 ? undefined : word.slice(equals + 1));
  }

  /** `-abc`: each letter a boolean, or the first one that takes a value takes the rest. */
  #shorts(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at);
      const rest = word.slice(at + 1);
      const written = `-${letter}`;
      if (letter === 'p') return this.#shortP(attachedValue(rest) ?? this.#valueFor(written));
      if (letter === 'l') {
        if (this.#shortL(rest)) return;
        continue;
      }
      const flag = FLAGS.find((candidate) => candidate.short === letter);
      if (flag === undefined) throw unknownFlag(written);
      const isLast = flag.kind !== 'boolean' || rest.startsWith('=');
      this.#set(flag, written, isLast ? attachedValue(rest) : undefined);
      if (isLast) return;
    }
  }

  #shortP(value: string): void {
    const meaning = meaningOfShortP(value);
    if (meaning === undefined) {
      throw usageError(`-p: "${value}" is neither a priority (0..6) nor a pattern (p2p, seed-peer, source)`);
    }
    this.#set(named(meaning), '-p', value);
  }

  /** @returns whether it took the rest of the word */
  #shortL(rest: string): boolean {
    const attached = attachedValue(rest);
    const following = this.words[this.#next];
    if (attached !== undefined && (rest.startsWith('=') || isLevelWord(attached))) {
      this.#set(named('log-level'), '-l', attached);
      return true;
    }
    if (attached === undefined && following !== undefined && isLevelWord(following)) {
      this.#set(named('log-level'), '-l', this.#take());
      return true;
    }
    this.#set(named('list'), '-l', undefined);
    return false;
  }

  #valueFor(written: string): string {
    const value = this.#take();
    if (value === undefined) throw usageError(`${written} needs a value`);
    return value;
  }

  #set(flag: Flag, written: string, attached: string | undefined): void {
    if (!isSupported(flag)) throw usageError(`${written} is not supported yet`);
    if (flag.kind === 'boolean') {
      this.values.set(flag.name, attached === undefined ? 'true' : String(parseBoolean(attached, written)));
      return;
    }
    const value = attached ?? this.#valueFor(written);
    if (flag.kind !== 'list') {
      this.values.set(flag.name, value);
      return;
    }
    const list = this.lists.get(flag.name);
    if (list === undefined) this.lists.set(flag.name, [value]);
    else list.push(value);
  }
}

/** `true`, `false`, `1`, `0` as in Go and Rust flags and in environment variables. */
export function parseBoolean(text: string, name: string): boolean {
  switch (text.toLowerCase()) {
    case 'true':
    case '1':
    case 't':
      return true;
    case 'false':
    case '0':
    case 'f':
      return false;
    default:
      throw usageError(`${name}: "${text}" is not true or false`);
  }
}

function attachedValue(rest: string): string | undefined {
  if (rest === '') return undefined;
  return rest.startsWith('=') ? rest.slice(1) : rest;
}

function longFlag(name: string): Flag | undefined {
  return FLAGS.find((flag) => flag.name === name || flag.aliases?.includes(name) === true);
}

function named(name: FlagName): Flag {
  const flag = longFlag(name);
  if (flag === undefined) throw new DfError('internal', `flag ${name} is not in the table`);
  return flag;
}

function unknownFlag(written: string): DfError {
  const nearest = written.startsWith('--') ? nearestFlag(written.slice(2)) : undefined;
  const hint = nearest === undefined ? 'see dfget --help' : `did you mean --${nearest}?`;
  return usageError(`unknown flag ${written}; ${hint}`);
}

/** @returns the long name with the fewest changed characters, if that is a typing mistake's worth */
function nearestFlag(name: string): string | undefined {
  let nearest: string | undefined;
  let fewest = Math.min(3, Math.floor(name.length / 2) + 1);
  for (const candidate of FLAGS.flatMap((flag) => [flag.name, ...(flag.aliases ?? [])])) {
    const distance = editDistance(name, candidate);
    if (distance < fewest) {
      fewest = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
