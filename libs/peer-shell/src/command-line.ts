import { parseArgs } from 'node:util';
import { DfError } from '@dragonfly/errors';
import { LOG_LEVELS, type LogLevel } from '@dragonfly/telemetry';

/** What the daemon was started to do. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'check-config'; readonly config: string | undefined; readonly isStrict: boolean }
  | ServeCommand;

export interface ServeCommand {
  readonly kind: 'serve';
  readonly config: string | undefined;
  readonly dynconfig: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly logDir: string | undefined;
  readonly isConsole: boolean;
  /** Started by dfget: leaves when idle, takes free ports where the default ones are taken. */
  readonly isOnDemand: boolean;
}

export function helpOf(program: string): string {
  return `Usage: ${program} [daemon] [flags]
       ${program} config check [--strict] [--config FILE]

  -c, --config FILE      configuration; without it ~/.config/dragonfly/dfdaemon.yaml, then
                         /etc/dragonfly/dfdaemon.yaml, then defaults
      --dynconfig FILE   scheduler addresses for a daemon without a manager
  -l, --log-level LEVEL  ${LOG_LEVELS.join(', ')} (info)
      --log-dir DIR      write DIR/dfdaemon.log
      --console          log to standard output
      --on-demand        leave after five idle minutes, use free ports where the default ones are taken
  -V, --version
  -h, --help
`;
}

/**
 * Reads the flags of today's dfdaemon; `daemon` as first word is accepted for those who type \`dfget daemon\`.
 * @throws DfError `invalid-argument` naming the flag
 */
export function parseCommandLine(args: readonly string[]): Command {
  let parsed: ReturnType<typeof parseFlags>;
  try {
    parsed = parseFlags(args);
  } catch (caught) {
    throw new DfError('invalid-argument', DfError.from(caught).message, { cause: caught });
  }
  const { values, positionals } = parsed;
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  const words = positionals.join(' ');
  if (words === 'config check') {
    return { kind: 'check-config', config: values.config, isStrict: values.strict ?? false };
  }
  if (words !== '' && words !== 'daemon') throw new DfError('invalid-argument', `unknown command: ${words}`);
  return {
    kind: 'serve',
    config: values.config,
    dynconfig: values.dynconfig,
    logLevel: logLevelOf(values['log-level']),
    logDir: values['log-dir'],
    isConsole: values.console ?? false,
    isOnDemand: values['on-demand'] ?? false,
  };
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      dynconfig: { type: 'string' },
      'log-level': { type: 'string', short: 'l' },
      'log-dir': { type: 'string' },
      'log-max-files': { type: 'string' },
      'log-max-file-size': { type: 'string' },
      console: { type: 'boolean' },
      'on-demand': { type: 'boolean' },
      strict: { type: 'boolean' },
      version: { type: 'boolean', short: 'V' },
      help: { type: 'boolean', short: 'h' },
    },
  });
}

function logLevelOf(text: string | undefined): LogLevel | undefined {
  if (text === undefined) return undefined;
  const level = LOG_LEVELS.find((candidate) => candidate === text.toLowerCase());
  if (level === undefined) {
    throw new DfError('invalid-argument', `--log-level: must be one of ${LOG_LEVELS.join(', ')}`);
  }
  return level;
}
