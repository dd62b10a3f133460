#!/usr/bin/env node
import 'reflect-metadata';
import { join } from 'node:path';
import { DfError, exitCodeOf } from '@dragonfly/errors';
import { createLogger, type Logger } from '@dragonfly/telemetry';
import { parseCommandLine, USAGE, type CommandLine, type LogLevel } from './command-line.js';
import { loadManagerSettings, type ManagerSettings } from './config/settings.js';
import { startManager } from './manager-app.js';
import { VERSION } from './version.js';

/** Levels of the original's configuration in ours. */
const LEVEL_OF: Record<ManagerSettings['config']['server']['logLevel'], LogLevel> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  panic: 'error',
  fatal: 'error',
};
/** bcrypt looks at no more than 72 bytes; the limits are those of the REST API. */
const PASSWORD_LENGTH = { min: 8, max: 20 };

function loggerOf(line: CommandLine, settings: ManagerSettings): Logger {
  const directory = line.logDirectory ?? settings.config.server.logDir;
  return createLogger({
    service: 'manager',
    level: line.logLevel ?? LEVEL_OF[settings.config.server.logLevel],
    file: directory ? join(directory, 'manager.log') : undefined,
    console: line.console || settings.config.console || !directory,
  });
}

function initialRootPassword(env: NodeJS.ProcessEnv): string | undefined {
  const password = env['DRAGONFLY_INITIAL_ROOT_PASSWORD'];
  if (password && (password.length < PASSWORD_LENGTH.min || password.length > PASSWORD_LENGTH.max)) {
    throw new DfError('invalid-argument', 'DRAGONFLY_INITIAL_ROOT_PASSWORD: must have 8 to 20 characters');
  }
  return password || undefined;
}

async function run(line: CommandLine): Promise<void> {
  const settings = loadManagerSettings({
    file: line.configFile,
    env: process.env,
    strict: line.strict,
    insecureDev: line.insecureDev,
  });
  const log = loggerOf(line, settings);
  for (const warning of settings.warnings) {
    log.warn({}, warning);
  }
  const app = await startManager({
    settings,
    log,
    initialRootPassword: initialRootPassword(process.env),
    personalAccessToken: process.env['DRAGONFLY_PAT'] || undefined,
  }).catch((error: unknown) => {
    log.error({ err: error }, 'the manager could not start');
    throw error;
  });
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  log.info({ signal }, 'stopping');
  await app.stop();
  log.info({}, 'stopped');
}

function checkConfig(line: CommandLine): void {
  const settings = loadManagerSettings({
    file: line.configFile,
    env: process.env,
    strict: line.strict,
    insecureDev: line.insecureDev,
  });
  for (const warning of settings.warnings) {
    process.stdout.write(`warning: ${warning}\n`);
  }
  process.stdout.write(`${settings.file ?? 'the default configuration'} is valid\n`);
}

async function main(): Promise<void> {
  const line = parseCommandLine(process.argv.slice(2));
  switch (line.command) {
    case 'help':
      process.stdout.write(USAGE);
      return;
    case 'version':
      process.stdout.write(`${VERSION}\n`);
      return;
    case 'config-check':
      checkConfig(line);
      return;
    case 'run':
      await run(line);
  }
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const failure = DfError.from(error);
  process.stderr.write(`manager: ${failure.message}\n`);
  process.exit(exitCodeOf(failure.code) === 2 ? 2 : 1);
}
