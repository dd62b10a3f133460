import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DfError, exitCodeOf } from '@dragonfly/errors';
import { createLogger } from '@dragonfly/telemetry';
import { type Command, HELP, parseCommandLine } from './command-line.js';
import { loadSchedulerConfig } from './config/scheduler-config.js';
import { SchedulerApp } from './scheduler-app.js';

const VERSION = versionOfPackage();

/** A second signal, or a stop that hangs for longer than this, ends the process at once. */
const STOP_TIMEOUT_MS = 15_000;

async function main(): Promise<void> {
  const command = parseCommandLine(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      return;
    case 'version':
      process.stdout.write(`scheduler ${VERSION}\n`);
      return;
    case 'check-config':
      checkConfig(command.config, command.isStrict);
      return;
    case 'serve':
      await serve(command);
      return;
  }
}

function checkConfig(file: string | undefined, isStrict: boolean): void {
  const loaded = loadSchedulerConfig({ file, env: process.env, strict: isStrict });
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(`${loaded.file ?? 'defaults'}: ok\n`);
}

async function serve(command: Extract<Command, { kind: 'serve' }>): Promise<void> {
  const { config, warnings, file } = loadSchedulerConfig({ file: command.config, env: process.env });
  const logDir = command.logDir ?? (config.server.logDir || undefined);
  const log = createLogger({
    service: 'scheduler',
    level: command.logLevel ?? config.server.logLevel,
    file: logDir === undefined ? undefined : path.join(logDir, 'scheduler.log'),
    ...(command.console || config.console ? { console: true } : {}),
  });
  for (const warning of warnings) log.warn(warning);
  log.info({ version: VERSION, config: file ?? 'defaults' }, 'scheduler is starting');
  try {
    const app = await SchedulerApp.start({
      config,
      log,
      version: VERSION,
      isRoot: process.getuid?.() === 0,
      dynconfigFile:
        command.dynconfig ?? (file === undefined ? undefined : path.join(path.dirname(file), 'dynconfig.yaml')),
    });
    stopOnSignal(app, (signal) => {
      log.info({ signal }, 'scheduler is stopping');
    });
  } catch (error) {
    log.error({ err: error }, 'scheduler could not start');
    throw error;
  }
}

function stopOnSignal(app: SchedulerApp, onSignal: (signal: NodeJS.Signals) => void): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    onSignal(signal);
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    app.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        reportAndExit(error);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function reportAndExit(caught: unknown): never {
  const error = DfError.from(caught);
  process.stderr.write(`scheduler: ${error.message}\n`);
  process.exit(exitCodeOf(error.code));
}

function versionOfPackage(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

main().catch(reportAndExit);
