#!/usr/bin/env node
import 'reflect-metadata';
import { DfError } from '@dragonfly/errors';
import { runService } from '@dragonfly/service';
import type { LogLevel } from '@dragonfly/telemetry';
import { tracingSettings } from '@dragonfly/telemetry/tracing';
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

function initialRootPassword(env: NodeJS.ProcessEnv): string | undefined {
  const password = env['DRAGONFLY_INITIAL_ROOT_PASSWORD'];
  if (password && (password.length < PASSWORD_LENGTH.min || password.length > PASSWORD_LENGTH.max)) {
    throw new DfError('invalid-argument', 'DRAGONFLY_INITIAL_ROOT_PASSWORD: must have 8 to 20 characters');
  }
  return password || undefined;
}

await runService<ManagerSettings>(
  {
    name: 'manager',
    summary: 'Knows clusters, their schedulers and seed peers, and the settings of all; REST interface and gRPC.',
    configHelp: ['(default /etc/dragonfly/manager.yaml, when it exists)'],
    flags: {
      'insecure-dev': { type: 'boolean', help: ['accept secrets of the public examples; for test machines only'] },
    },
    notes: [
      'DRAGONFLY_INITIAL_ROOT_PASSWORD is the password of a root account that is made now,',
      'DRAGONFLY_PAT is a personal access token that is to exist.',
    ],
    version: VERSION,
    logFile: 'manager.log',
    load: (flags, isStrict) => {
      const settings = loadManagerSettings({
        file: flags.config,
        env: process.env,
        strict: isStrict,
        insecureDev: flags.own['insecure-dev'] === true,
      });
      const { server, console: isConsole } = settings.config;
      const tracing = tracingSettings(settings.config.tracing, process.env);
      return {
        settings,
        file: settings.file,
        warnings: settings.warnings,
        logLevel: flags.logLevel ?? LEVEL_OF[server.logLevel],
        logDir: (flags.logDir ?? server.logDir) || undefined,
        isConsole: flags.isConsole || isConsole,
        tracing: tracing && { settings: tracing, host: { ip: server.grpc.advertiseIP } },
      };
    },
    start: (settings, { log }) =>
      startManager({
        settings,
        log,
        initialRootPassword: initialRootPassword(process.env),
        personalAccessToken: process.env['DRAGONFLY_PAT'] || undefined,
      }),
  },
  process,
);
