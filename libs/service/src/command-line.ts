import { parseArgs } from 'node:util';
import { DfError } from '@dragonfly/errors';
import { LOG_LEVELS, type LogLevel } from '@dragonfly/telemetry';

/** A flag that one program has beyond those of every service. */
export interface ServiceFlag {
  readonly type: 'string' | 'boolean';
  /** Name of the value in the help text, e.g. `FILE`; for strings. */
  readonly value?: string;
  /** Lines of the help text. A flag without one is accepted and ignored: other versions of the program had it. */
  readonly help?: readonly string[];
}

/** What a program's command line looks like. */
export interface CommandLineForm {
  /** Name of the program, as it stands in the help text and in its messages. */
  readonly name: string;
  /** What the program does, one line. */
  readonly summary: string;
  /** Where a configuration is looked for when none is named; lines of the help text. */
  readonly configHelp: readonly string[];
  readonly flags?: Readonly<Record<string, ServiceFlag>>;
  /** A first word that means nothing more, for the habits of older versions. */
  readonly optionalWord?: string;
  /** Lines after the flags. */
  readonly notes?: readonly string[];
}

/** What a service was started to do. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | ({ readonly kind: 'check-config'; readonly isStrict: boolean } & CommonFlags)
  | ({ readonly kind: 'serve' } & CommonFlags);

export interface CommonFlags {
  /** A configuration file that must exist. */
  readonly config: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly logDir: string | undefined;
  readonly isConsole: boolean;
  /** The program's own flags: text, true, or undefined. */
  readonly own: Readonly<Record<string, string | boolean | undefined>>;
}

const COMMON_FLAGS = {
  config: { type: 'string', short: 'c' },
  console: { type: 'boolean' },
  'log-level': { type: 'string', short: 'l' },
  'log-dir': { type: 'string' },
  strict: { type: 'boolean' },
  version: { type: 'boolean', short: 'V' },
  help: { type: 'boolean', short: 'h' },
} as const;

const CONFIG_CHECK = 'config check';
const HELP_COLUMN = 25;

/** @throws DfError `invalid-argument` naming the flag */
export function parseCommandLine(form: CommandLineForm, args: readonly string[]): Command {
  const { values, positionals } = parseFlags(form, args);
  if (values['help'] === true) return { kind: 'help' };
  if (values['version'] === true) return { kind: 'version' };
  const common: CommonFlags = {
    config: textOf(values['config']),
    logLevel: logLevelOf(textOf(values['log-level'])),
    logDir: textOf(values['log-dir']),
    isConsole: values['console'] === true,
    own: Object.fromEntries(Object.keys(form.flags ?? {}).map((name) => [name, values[name]])),
  };
  const words = positionals.join(' ');
  if (words === CONFIG_CHECK) return { kind: 'check-config', isStrict: values['strict'] === true, ...common };
  if (words !== '' && words !== form.optionalWord) {
    throw new DfError('invalid-argument', `unknown command "${words}"; see --help`);
  }
  return { kind: 'serve', ...common };
}

/** The help text, ready to print. */
export function helpText(form: CommandLineForm): string {
  const own = Object.entries(form.flags ?? {}).flatMap(([name, flag]) =>
    flag.help === undefined ? [] : row(`    --${name}${flag.value === undefined ? '' : ` ${flag.value}`}`, flag.help),
  );
  return [
    `Usage: ${form.name} ${form.optionalWord === undefined ? '' : `[${form.optionalWord}] `}[flags]`,
    `       ${form.name} ${CONFIG_CHECK} [--strict] [--config FILE]`,
    '',
    form.summary,
    '',
    ...row('-c, --config FILE', ['configuration file', ...form.configHelp]),
    ...row('-l, --log-level LEVEL', [LOG_LEVELS.join(', ')]),
    ...row('    --log-dir DIR', ['write the log to a file in DIR']),
    ...row('    --console', ['write the log to standard output, also with --log-dir']),
    ...own,
    ...row('    --strict', [`an unknown key is an error; for ${CONFIG_CHECK}`]),
    ...row('-V, --version', ['print the version']),
    ...row('-h, --help', ['print this text']),
    '',
    'DRAGONFLY_SECTION__KEY in the environment overrides a key of the configuration: DRAGONFLY_SERVER__PORT is server.port.',
    ...(form.notes ?? []),
    '',
  ].join('\n');
}

/** A flag too long for its column stands in a line of its own. */
function row(flag: string, help: readonly string[]): string[] {
  const fits = flag.length < HELP_COLUMN;
  const beside = help.map((line, index) => `  ${(index === 0 && fits ? flag : '').padEnd(HELP_COLUMN)}${line}`);
  return fits ? beside : [`  ${flag}`, ...beside];
}

type FlagValues = Readonly<Record<string, string | boolean | undefined>>;

function parseFlags(form: CommandLineForm, args: readonly string[]): { values: FlagValues; positionals: string[] } {
  const own = Object.fromEntries(Object.entries(form.flags ?? {}).map(([name, { type }]) => [name, { type }]));
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...own, ...COMMON_FLAGS },
    });
    return { values, positionals };
  } catch (caught) {
    // Node goes on about arguments that begin with a dash.
    const message = DfError.from(caught).message.replace(/\. To specify a positional .*/s, '; see --help');
    throw new DfError('invalid-argument', message, { cause: caught });
  }
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function logLevelOf(text: string | undefined): LogLevel | undefined {
  if (text === undefined) return undefined;
  const level = LOG_LEVELS.find((candidate) => candidate === text.toLowerCase());
  if (level === undefined) {
    throw new DfError('invalid-argument', `--log-level: must be one of ${LOG_LEVELS.join(', ')}, is ${text}`);
  }
  return level;
}
