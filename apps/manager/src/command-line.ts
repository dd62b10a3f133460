import { parseArgs } from 'node:util';
import { DfError } from '@dragonfly/errors';

export const USAGE = `Usage: manager [options]
       manager config check [--strict] [--config FILE]

Options:
  --config FILE       configuration (default /etc/dragonfly/manager.yaml, when it exists)
  --console           write the log to standard output, also with --log-dir
  --log-level LEVEL   trace, debug, info, warn or error (default: server.logLevel)
  --log-dir DIRECTORY write JSON lines to DIRECTORY/manager.log
  --insecure-dev      accept secrets of the public examples; for test machines only
  --version           print the version
  --help              print this text

Environment: DRAGONFLY_<SECTION>__<KEY> overrides a key of the configuration,
DRAGONFLY_INITIAL_ROOT_PASSWORD is the password of a root account that is made now,
DRAGONFLY_PAT is a personal access token that is to exist.
`;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface CommandLine {
  command: 'run' | 'config-check' | 'help' | 'version';
  configFile?: string;
  console: boolean;
  logLevel?: LogLevel;
  logDirectory?: string;
  insecureDev: boolean;
  strict: boolean;
}

/** @throws DfError `invalid-argument` naming the option */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals } = parse(args);
  const level = values['log-level'];
  if (level !== undefined && !isLogLevel(level)) {
    throw new DfError('invalid-argument', `--log-level: must be one of ${LOG_LEVELS.join(', ')}, is ${level}`);
  }
  const words = positionals.join(' ');
  if (!['', 'config check'].includes(words)) {
    throw new DfError('invalid-argument', `unknown command "${words}"; see --help`);
  }
  return {
    command: values.help ? 'help' : values.version ? 'version' : words === 'config check' ? 'config-check' : 'run',
    configFile: values.config,
    console: values.console,
    logLevel: level,
    logDirectory: values['log-dir'],
    insecureDev: values['insecure-dev'],
    strict: values.strict,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        console: { type: 'boolean', default: false },
        'log-level': { type: 'string' },
        'log-dir': { type: 'string' },
        'insecure-dev': { type: 'boolean', default: false },
        strict: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new DfError('invalid-argument', Error.isError(error) ? error.message : String(error), { cause: error });
  }
}

function isLogLevel(level: string): level is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(level);
}
