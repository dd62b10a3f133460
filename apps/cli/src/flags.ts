/**
 * Every flag of dfget: what the parser accepts and what `--help` says come from this one table.
 *
 * It holds the flags of today's dfget and of the 2.0 line. Of the latter some are other names for the same thing
 * (`--disable-back-source`), which stand in `aliases`.
 */

/** How the text after a flag is read. A boolean takes no value but `=true` or `=false`. */
export type FlagKind = 'boolean' | 'text' | 'list' | 'whole-number' | 'duration' | 'size';

export type FlagGroup = 'What to download' | 'How to download' | 'The daemon' | 'What is shown' | 'Not supported yet';

export interface FlagSpec {
  readonly name: string;
  readonly kind: FlagKind;
  readonly group: FlagGroup;
  readonly help: string;
  /** Other long names with the same meaning. */
  readonly aliases?: readonly string[];
  readonly short?: string;
  /** Name of the value in `--help`. */
  readonly value?: string;
  /** Environment variable read when the flag is absent. */
  readonly env?: string;
  readonly default?: string;
}

const what = 'What to download';
const how = 'How to download';
const daemon = 'The daemon';
const shown = 'What is shown';
const missing = 'Not supported yet';

const table = [
  {
    name: 'url',
    short: 'u',
    kind: 'text',
    value: 'URL',
    group: what,
    help: 'The URL, in the form of the 2.0 line: an existing output is replaced, its directory is made, and what happens is printed line by line',
  },
  {
    name: 'output',
    short: 'O',
    kind: 'text',
    value: 'FILE',
    group: what,
    help: 'File to make. Default: the last element of the URL path, or the host name, in the current directory',
  },
  { name: 'overwrite', kind: 'boolean', env: 'DFGET_OVERWRITE', group: what, help: 'Replace an existing output' },
  {
    name: 'range',
    kind: 'text',
    value: 'FIRST-LAST',
    group: what,
    help: 'Only these bytes, counted from 0, both included: 0-9 are ten bytes',
  },
  {
    name: 'digest',
    kind: 'text',
    value: 'ALG:HEX',
    group: what,
    help: 'Check the output before it becomes visible. md5, sha1, sha256, sha512 in hex, or crc32 as a decimal number',
  },
  {
    name: 'header',
    short: 'H',
    kind: 'list',
    value: "'Key: value'",
    group: what,
    help: 'Request header for the source; may be repeated',
  },
  {
    name: 'tag',
    kind: 'text',
    value: 'TEXT',
    env: 'DFGET_TAG',
    group: what,
    help: 'Tag; part of what makes two downloads the same task',
  },
  {
    name: 'application',
    kind: 'text',
    value: 'TEXT',
    env: 'DFGET_APPLICATION',
    group: what,
    help: 'Application; part of what makes two downloads the same task',
  },
  {
    name: 'filtered-query-param',
    kind: 'list',
    value: 'NAME',
    group: what,
    help: 'Query parameter that does not make another task of a URL; may be repeated. Default: the signature parameters of the usual object stores',
  },
  { name: 'filter', kind: 'text', value: "'A&B'", group: what, help: 'The same as one text with & between the names' },
  {
    name: 'content-for-calculating-task-id',
    kind: 'text',
    value: 'TEXT',
    env: 'DFGET_CONTENT_FOR_CALCULATING_TASK_ID',
    group: what,
    help: 'Take the task id from this text instead of the URL',
  },
  {
    name: 'piece-length',
    kind: 'size',
    value: 'SIZE',
    env: 'DFGET_PIECE_LENGTH',
    group: what,
    help: 'Length of the pieces, at least 4MiB. Default: chosen from the length of the file',
  },

  {
    name: 'timeout',
    kind: 'duration',
    value: 'TIME',
    env: 'DFGET_TIMEOUT',
    default: '2h',
    group: how,
    help: 'Longest time for the whole download, such as 30s or 1h30m; 0 = no limit (the default with -u)',
  },
  {
    name: 'ratelimit',
    kind: 'size',
    value: 'SIZE',
    group: how,
    help: 'Highest rate in bytes per second, such as 20M (= 20 x 1024 x 1024) or 20MiB',
  },
  {
    name: 'priority',
    kind: 'whole-number',
    value: 'N',
    env: 'DFGET_PRIORITY',
    default: '6',
    group: how,
    help: 'Priority 0..6; also -p N',
  },
  {
    name: 'pattern',
    kind: 'text',
    value: 'PATTERN',
    group: how,
    help: 'p2p, seed-peer (ask the scheduler however small the file is) or source (straight from the source, no daemon); also -p PATTERN',
  },
  {
    name: 'scheduling-policy',
    kind: 'text',
    value: 'POLICY',
    env: 'DFGET_SCHEDULING_POLICY',
    default: 'auto',
    group: how,
    help: 'auto or always: whether small files go through the scheduler',
  },
  {
    name: 'disable-back-to-source',
    aliases: ['disable-back-source'],
    kind: 'boolean',
    env: 'DFGET_DISABLE_BACK_TO_SOURCE',
    group: how,
    help: 'Never fetch from the source, neither the daemon nor dfget itself; fail instead',
  },
  {
    name: 'force-hard-link',
    kind: 'boolean',
    env: 'DFGET_FORCE_HARD_LINK',
    group: how,
    help: "Fail when the output cannot be a hard link to the daemon's copy",
  },
  {
    name: 'transfer-from-dfdaemon',
    kind: 'boolean',
    env: 'DFGET_TRANSFER_FROM_DFDAEMON',
    group: how,
    help: 'Let the bytes come over the socket and write the output here, for a daemon that cannot see this file system',
  },

  {
    name: 'endpoint',
    aliases: ['daemon-sock'],
    short: 'e',
    kind: 'text',
    value: 'SOCKET',
    env: 'DFGET_ENDPOINT',
    group: daemon,
    help: 'Unix socket of the daemon. Default: the cluster of run.sh, then /var/run/dragonfly/dfdaemon.sock, then the one dfget starts',
  },
  { name: 'no-daemon', kind: 'boolean', group: daemon, help: 'Start no daemon when none is running' },
  {
    name: 'config',
    kind: 'text',
    value: 'FILE',
    group: daemon,
    help: 'Configuration of a daemon that dfget starts. Default: ~/.config/dragonfly/dfdaemon.yaml, /etc/dragonfly/dfdaemon.yaml, else built in',
  },
  {
    name: 'workhome',
    kind: 'text',
    value: 'DIR',
    group: daemon,
    help: 'Directory for socket, store and logs of a daemon that dfget starts',
  },
  {
    name: 'logdir',
    kind: 'text',
    value: 'DIR',
    group: daemon,
    help: 'Directory for the logs of a daemon that dfget starts',
  },

  {
    name: 'no-progress',
    kind: 'boolean',
    env: 'DFGET_NO_PROGRESS',
    group: shown,
    help: 'No progress bar. Without a terminal there is none anyway',
  },
  {
    name: 'show-progress',
    short: 'b',
    kind: 'boolean',
    group: shown,
    help: 'Show the progress bar from the first moment, however short the download',
  },
  {
    name: 'verbose',
    kind: 'boolean',
    group: shown,
    help: 'Print what happens line by line, as the -u form does; with --console, debug messages too',
  },
  { name: 'console', kind: 'boolean', env: 'DFGET_CONSOLE', group: shown, help: 'Log to standard error' },
  {
    name: 'log-level',
    kind: 'text',
    value: 'LEVEL',
    env: 'DFGET_LOG_LEVEL',
    default: 'info',
    group: shown,
    help: 'trace, debug, info, warn or error, for --console; also -l LEVEL',
  },
  {
    name: 'report',
    kind: 'text',
    value: 'FILE',
    env: 'DFGET_REPORT',
    group: shown,
    help: 'Write what was done to FILE as JSON',
  },
  { name: 'version', short: 'V', kind: 'boolean', group: shown, help: 'Print the version' },
  { name: 'help', short: 'h', kind: 'boolean', group: shown, help: 'Print this text' },

  { name: 'recursive', short: 'r', kind: 'boolean', group: missing, help: 'Download a directory' },
  { name: 'list', kind: 'boolean', group: missing, help: 'List a directory; also -l without a level' },
  { name: 'level', kind: 'text', value: 'N', group: missing, help: 'Depth of --recursive' },
  { name: 'accept-regex', kind: 'text', value: 'RE', group: missing, help: 'URLs to take with --recursive' },
  { name: 'reject-regex', kind: 'text', value: 'RE', group: missing, help: 'URLs to leave with --recursive' },
  {
    name: 'include-files',
    short: 'I',
    kind: 'list',
    value: 'PATH',
    group: missing,
    help: 'Files to take of a directory',
  },
  { name: 'max-files', kind: 'text', value: 'N', group: missing, help: 'Files of a directory' },
  { name: 'max-concurrent-requests', kind: 'text', value: 'N', group: missing, help: 'Files at once' },
  { name: 'original-offset', kind: 'boolean', group: missing, help: 'Keep the offset of a range in the output' },
  { name: 'storage-region', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-endpoint', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-access-key-id', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-access-key-secret', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-security-token', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-insecure-skip-verify', kind: 'text', value: 'BOOL', group: missing, help: 'Object storage' },
  { name: 'storage-session-token', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-credential-path', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'storage-predefined-acl', kind: 'text', value: 'TEXT', group: missing, help: 'Object storage' },
  { name: 'hdfs-delegation-token', kind: 'text', value: 'TEXT', group: missing, help: 'HDFS' },
  { name: 'hf-revision', kind: 'text', value: 'TEXT', group: missing, help: 'Hugging Face' },
  { name: 'hf-token', kind: 'text', value: 'TEXT', group: missing, help: 'Hugging Face' },
  { name: 'hf-base-url', kind: 'text', value: 'TEXT', group: missing, help: 'Hugging Face' },
  { name: 'ms-revision', kind: 'text', value: 'TEXT', group: missing, help: 'ModelScope' },
  { name: 'ms-token', kind: 'text', value: 'TEXT', group: missing, help: 'ModelScope' },
  { name: 'ms-base-url', kind: 'text', value: 'TEXT', group: missing, help: 'ModelScope' },
  { name: 'csg-revision', kind: 'text', value: 'TEXT', group: missing, help: 'OpenCSG' },
  { name: 'csg-token', kind: 'text', value: 'TEXT', group: missing, help: 'OpenCSG' },
  { name: 'csg-base-url', kind: 'text', value: 'TEXT', group: missing, help: 'OpenCSG' },
  { name: 'pprof-port', kind: 'text', value: 'N', group: missing, help: 'Profiling of the 2.0 line' },
  { name: 'jaeger', kind: 'text', value: 'URL', group: missing, help: 'Tracing of the 2.0 line' },
] as const satisfies readonly FlagSpec[];

/** Canonical name of a flag. */
export type FlagName = (typeof table)[number]['name'];

/** The table in the order of `--help`. */
export const FLAGS: readonly (FlagSpec & { readonly name: FlagName })[] = table;

/** Flags that are recognised so that they can be refused clearly. */
export function isSupported(flag: FlagSpec): boolean {
  return flag.group !== missing;
}

/** Words `--log-level` knows, quietest last. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const PATTERNS = ['p2p', 'seed-peer', 'source'] as const;
export type Pattern = (typeof PATTERNS)[number];

/**
 * What `-p VALUE` means: today's priority for a number, the pattern of the 2.0 line for one of its words.
 * @returns undefined when it is neither
 */
export function meaningOfShortP(value: string): 'priority' | 'pattern' | undefined {
  if (/^(?:level)?\d+$/i.test(value)) return 'priority';
  return (PATTERNS as readonly string[]).includes(value) ? 'pattern' : undefined;
}

/** Whether the word after `-l` is a level (today's `-l LEVEL`); otherwise `-l` is the list flag of the 2.0 line. */
export function isLevelWord(value: string): boolean {
  return (LOG_LEVELS as readonly string[]).includes(value.toLowerCase()) || /^\d+$/.test(value);
}
