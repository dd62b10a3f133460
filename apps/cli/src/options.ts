import path from 'node:path';
import { parseByteSize, parseDuration } from '@dragonfly/config';
import { FLAGS, LOG_LEVELS, PATTERNS, type FlagName, type LogLevel, type Pattern } from './flags.js';
import { defaultOutputName } from './output-name.js';
import { parseBoolean, usageError, type ParsedArguments } from './parse-arguments.js';

/** Bytes to fetch: `length` of them from `start` on. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** One download, every flag and environment variable read and checked. */
export interface DownloadOptions {
  readonly url: string;
  /** Absolute. */
  readonly outputPath: string;
  /** An existing output is replaced (atomically) rather than refused. */
  readonly mayReplaceOutput: boolean;
  /** Missing directories of the output are made. */
  readonly makesDirectories: boolean;
  readonly digest: string | undefined;
  readonly range: ByteRange | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly tag: string;
  readonly application: string;
  /** Undefined: the default list. */
  readonly filteredQueryParams: readonly string[] | undefined;
  readonly contentForCalculatingTaskId: string | undefined;
  readonly pieceLengthBytes: number | undefined;
  /** 0: no limit. */
  readonly timeoutMs: number;
  readonly rateLimitBytesPerSecond: number | undefined;
  readonly priority: number;
  readonly schedulingPolicy: 'auto' | 'always';
  /** Straight from the source, past any daemon. */
  readonly isSourceOnly: boolean;
  readonly disableBackToSource: boolean;
  readonly forceHardLink: boolean;
  readonly transferFromDfdaemon: boolean;
  /** Socket given by flag or environment. */
  readonly endpoint: string | undefined;
  readonly mayStartDaemon: boolean;
  readonly daemonConfigFile: string | undefined;
  readonly workHome: string | undefined;
  readonly logDirectory: string | undefined;
  readonly progress: 'after-delay' | 'at-once' | 'never';
  /** Say on standard output what happens, line by line. */
  readonly printsLines: boolean;
  /** The `-u` form also tells a failure on standard output. */
  readonly isClassicForm: boolean;
  /** Undefined: no log. */
  readonly logLevel: LogLevel | undefined;
  readonly isVerbose: boolean;
  readonly reportFile: string | undefined;
}

const MIN_PIECE_LENGTH_BYTES = 4 * 1024 * 1024;
const MAX_PRIORITY = 6;

/** How a digest is written; the same rule as the daemon's. */
const DIGEST =
  /^(?:md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|crc32:[0-9a-f]{1,10})$/i;
/** A token of RFC 9110, a colon, a value without line ends. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/;

/** Where relative paths begin, and the environment variables. */
export interface OptionsContext {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Makes the download of a command line.
 * @throws DfError of usage (exit code 2) that names the flag and the rule
 */
export function readOptions(parsed: ParsedArguments, context: OptionsContext): DownloadOptions {
  const values = new FlagValues(parsed, context.env);
  const isClassicForm = parsed.values.has('url');
  const url = readUrl(parsed);
  const output = values.text('output');
  const pattern = values.choice('pattern', PATTERNS);
  const disableBackToSource = values.isSet('disable-back-to-source');
  if (pattern === 'source' && disableBackToSource) {
    throw usageError('--pattern source and --disable-back-to-source exclude each other');
  }
  const range = readRange(values.text('range'));
  const transferFromDfdaemon = values.isSet('transfer-from-dfdaemon');
  const forceHardLink = values.isSet('force-hard-link');
  if (forceHardLink && (transferFromDfdaemon || pattern === 'source')) {
    throw usageError('--force-hard-link needs a daemon that writes the output itself');
  }
  if (forceHardLink && range !== undefined) throw usageError('--force-hard-link and --range exclude each other');
  const overwrites = values.isSet('overwrite');
  const isVerbose = values.isSet('verbose');
  return {
    url,
    outputPath: readOutputPath(output, url, context.cwd),
    mayReplaceOutput: overwrites || isClassicForm || output === undefined,
    makesDirectories: isClassicForm,
    digest: readDigest(values.text('digest')),
    range,
    headers: readHeaders(parsed.lists.get('header') ?? []),
    tag: values.text('tag') ?? '',
    application: values.text('application') ?? '',
    filteredQueryParams: readFilter(parsed),
    contentForCalculatingTaskId: values.text('content-for-calculating-task-id'),
    pieceLengthBytes: readPieceLength(values),
    timeoutMs: readTimeout(values, isClassicForm),
    rateLimitBytesPerSecond: readRateLimit(values),
    priority: readPriority(values),
    schedulingPolicy: readSchedulingPolicy(values, pattern),
    isSourceOnly: pattern === 'source',
    disableBackToSource,
    forceHardLink,
    transferFromDfdaemon,
    endpoint: readEndpoint(values.text('endpoint'), context.cwd),
    mayStartDaemon: !values.isSet('no-daemon'),
    daemonConfigFile: absolute(values.text('config'), context.cwd),
    workHome: absolute(values.text('workhome'), context.cwd),
    logDirectory: absolute(values.text('logdir'), context.cwd),
    progress: values.isSet('no-progress') ? 'never' : values.isSet('show-progress') ? 'at-once' : 'after-delay',
    printsLines: isClassicForm || isVerbose,
    isClassicForm,
    logLevel: values.isSet('console') ? readLogLevel(values, isVerbose) : undefined,
    isVerbose,
    reportFile: absolute(values.text('report'), context.cwd),
  };
}

/** Values of flags with their environment variables behind them. */
class FlagValues {
  constructor(
    private readonly parsed: ParsedArguments,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  /** Undefined for absent and for empty, which scripts pass for "none". */
  text(name: FlagName): string | undefined {
    const written = this.parsed.values.get(name) ?? this.env[FLAGS.find((flag) => flag.name === name)?.env ?? ''];
    return written === '' ? undefined : written;
  }

  isSet(name: FlagName): boolean {
    const text = this.text(name);
    return text !== undefined && parseBoolean(text, this.#source(name));
  }

  choice<Word extends string>(name: FlagName, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = words.find((candidate) => candidate === text.toLowerCase());
    if (word === undefined) throw usageError(`${this.#source(name)}: "${text}" is not one of ${words.join(', ')}`);
    return word;
  }

  parsedWith<Value>(name: FlagName, parse: (text: string) => Value): Value | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (error) {
      throw usageError(`${this.#source(name)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The flag, or the variable when the value comes from there. */
  #source(name: FlagName): string {
    if (this.parsed.values.has(name)) return `--${name}`;
    return FLAGS.find((flag) => flag.name === name)?.env ?? `--${name}`;
  }
}

function readUrl(parsed: ParsedArguments): string {
  const named = parsed.values.get('url');
  const [first, second] = parsed.positionals;
  if (second !== undefined) throw usageError(`one URL at a time; "${second}" is one too many`);
  if (named !== undefined && first !== undefined && named !== first) {
    throw usageError(`the URL is given twice: ${named} and ${first}`);
  }
  const url = named ?? first;
  if (url === undefined || url === '') {
    throw usageError('no URL given; try: dfget https://example.org/file -O /tmp/file');
  }
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(url)) {
    throw usageError(`"${url}" is not an absolute URL such as https://example.org/file`);
  }
  if (!URL.canParse(url)) throw usageError(`"${url}" is not a valid URL`);
  return url;
}

function readOutputPath(output: string | undefined, url: string, cwd: string): string {
  if (output === '-') throw usageError('--output -: writing to standard output is not supported yet');
  return path.resolve(cwd, output ?? defaultOutputName(url));
}

function readRange(text: string | undefined): ByteRange | undefined {
  if (text === undefined) return undefined;
  const match = /^(?:bytes=)?(\d+)-(\d+)$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) {
    throw usageError(`--range: "${text}" is not FIRST-LAST such as 0-9`);
  }
  return { start: first, length: last - first + 1 };
}

function readDigest(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!DIGEST.test(text)) {
    throw usageError(
      `--digest: "${text}" is not md5:, sha1:, sha256: or sha512: and all hex digits, or crc32: and a number`,
    );
  }
  return text.toLowerCase();
}

function readHeaders(lines: readonly string[]): Record<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const match = HEADER.exec(line);
    if (match === null) throw usageError(`--header: "${line}" is not of the form "Key: value"`);
    const [, name = '', value = ''] = match;
    const written = [...headers.keys()].find((known) => known.toLowerCase() === name.toLowerCase()) ?? name;
    const before = headers.get(written);
    // The services carry one value per name; HTTP lets values of one name be joined like this.
    headers.set(written, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(headers);
}

function readFilter(parsed: ParsedArguments): readonly string[] | undefined {
  const list = parsed.lists.get('filtered-query-param');
  const joined = parsed.values.get('filter');
  if (joined === undefined) return list;
  return [...(list ?? []), ...joined.split('&').filter((name) => name !== '')];
}

function readPieceLength(values: FlagValues): number | undefined {
  return values.parsedWith('piece-length', (text) => {
    const lengthBytes = parseByteSize(text);
    if (lengthBytes < MIN_PIECE_LENGTH_BYTES) throw new RangeError(`"${text}" is less than 4MiB`);
    return lengthBytes;
  });
}

function readRateLimit(values: FlagValues): number | undefined {
  return values.parsedWith('ratelimit', (text) => {
    const bytesPerSecond = parseByteSize(text.replace(/\/s$/i, ''), { binaryPrefixes: true });
    if (bytesPerSecond < 1) throw new RangeError('must be at least one byte per second');
    return bytesPerSecond;
  });
}

/** Today's dfget stops after two hours, the one of the 2.0 line never. */
function readTimeout(values: FlagValues, isClassicForm: boolean): number {
  const defaultMs = isClassicForm ? 0 : 2 * 60 * 60 * 1000;
  return values.parsedWith('timeout', (text) => Math.ceil(parseDuration(text))) ?? defaultMs;
}

function readPriority(values: FlagValues): number {
  const priority = values.parsedWith('priority', (text) => {
    const level = Number(text.replace(/^level/i, ''));
    if (!Number.isInteger(level) || level < 0 || level > MAX_PRIORITY) {
      throw new RangeError(`"${text}" is not a number from 0 to ${MAX_PRIORITY}`);
    }
    return level;
  });
  return priority ?? MAX_PRIORITY;
}

function readSchedulingPolicy(values: FlagValues, pattern: Pattern | undefined): 'auto' | 'always' {
  // Only through the scheduler can a seed peer be asked, so the pattern implies the policy.
  if (pattern === 'seed-peer') return 'always';
  return values.choice('scheduling-policy', ['auto', 'always']) ?? 'auto';
}

function readEndpoint(text: string | undefined, cwd: string): string | undefined {
  return absolute(text?.replace(/^unix:(?:\/\/)?/, ''), cwd);
}

function readLogLevel(values: FlagValues, isVerbose: boolean): LogLevel {
  return values.choice('log-level', LOG_LEVELS) ?? (isVerbose ? 'debug' : 'info');
}

function absolute(file: string | undefined, cwd: string): string | undefined {
  return file === undefined ? undefined : path.resolve(cwd, file);
}
