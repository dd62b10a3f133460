import path from 'node:path';
import { packageVersion, runService } from '@dragonfly/service';
import { tracingSettings, tracingWarnings } from '@dragonfly/telemetry/tracing';
import { loadSchedulerConfig } from './config/scheduler-config.js';
import { boundPatternMatching } from './dynconfig/url-pattern.js';
import { SchedulerApp } from './scheduler-app.js';

const version = packageVersion(import.meta.url);

boundPatternMatching();

await runService(
  {
    name: 'scheduler',
    summary: 'Tells each peer from which parents to fetch a task.',
    configHelp: ['(default /etc/dragonfly/scheduler.yaml, when it exists)'],
    flags: {
      dynconfig: {
        type: 'string',
        value: 'FILE',
        help: ['settings of a scheduler without a manager, made with', 'defaults when missing'],
      },
    },
    version,
    logFile: 'scheduler.log',
    load: (flags, isStrict) => {
      const { config, warnings, file } = loadSchedulerConfig({
        file: flags.config,
        env: process.env,
        strict: isStrict,
      });
      const { dynconfig } = flags.own;
      const tracing = tracingSettings(config.tracing, process.env);
      const besideConfig = file === undefined ? undefined : path.join(path.dirname(file), 'dynconfig.yaml');
      return {
        settings: { config, dynconfigFile: typeof dynconfig === 'string' ? dynconfig : besideConfig },
        file,
        warnings: [...warnings, ...tracingWarnings(config.tracing)],
        logLevel: flags.logLevel ?? config.server.logLevel,
        logDir: (flags.logDir ?? config.server.logDir) || undefined,
        isConsole: flags.isConsole || config.console,
        tracing: tracing && { settings: tracing, host: { ...config.host, ip: config.server.advertiseIP } },
      };
    },
    start: ({ config, dynconfigFile }, { log, signal }) =>
      SchedulerApp.start({ config, log, version, isRoot: process.getuid?.() === 0, dynconfigFile, signal }),
  },
  process,
);
