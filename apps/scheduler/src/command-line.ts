import { parseArgs } from 'node:util';
import { DfError } from '@dragonfly/errors';
import { LOG_LEVELS, type LogLevel } from '@dragonfly/telemetry';

export const HELP = `Tells each peer from which parents to fetch a task.

usage: scheduler [--config FILE] [--console] [--log-level LEVEL] [--log-dir DIR] [--dynconfig FILE]
       scheduler config check [--config FILE] [--strict]

  --config FILE      configuration, default /etc/dragonfly/scheduler.yaml if it exists
  --console          log to standard output as well
  --log-level LEVEL  ${LOG_LEVELS.join(', ')}; overrides server.logLevel
  --log-dir DIR      log to DIR/scheduler.log; overrides server.logDir
  --dynconfig FILE   settings of a scheduler without a manager, made with defaults when missing
  --strict           an unknown configuration key is an error
  --help, --version

Every key can be set by the environment: DRAGONFLY_SERVER__PORT=8002 is server.port.
`;

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'check-config'; readonly config: string | undefined; readonly isStrict: boolean }
  | {
      readonly kind: 'serve';
      readonly config: string | undefined;
      readonly console: boolean;
      readonly logLevel: LogLevel | undefined;
      readonly logDir: string | undefined;
      readonly dynconfig: string | undefined;
    };

/** @throws DfError `invalid-argument` for anything it does not understand */
export function parseCommandLine(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  if (positionals.length > 0) {
    if (positionals.join(' ') !== 'config check') {
      throw new DfError('invalid-argument', `unknown command "${positionals.join(' ')}"; try --help`);
    }
    return { kind: 'check-config', config: values.config, isStrict: values.strict === true };
  }
  return {
    kind: 'serve',
    config: values.config,
    console: values.console === true,
    logLevel: logLevelOf(values['log-level']),
    logDir: values['log-dir'],
    dynconfig: values.dynconfig,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        console: { type: 'boolean' },
        'log-level': { type: 'string' },
        'log-dir': { type: 'string' },
        dynconfig: { type: 'string' },
        strict: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    throw new DfError('invalid-argument', DfError.from(error).message, { cause: error });
  }
}

function logLevelOf(text: string | undefined): LogLevel | undefined {
  const level = LOG_LEVELS.find((candidate) => candidate === text);
  if (text !== undefined && level === undefined) {
    throw new DfError('invalid-argument', `--log-level must be one of ${LOG_LEVELS.join(', ')}, not ${text}`);
  }
  return level;
}
