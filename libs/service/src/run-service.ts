import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { startTracing, type TracingOptions } from '@dragonfly/telemetry/tracing';
import { createLogger, type Logger, type LogLevel, type RotationLimits } from '@dragonfly/telemetry';
import { type Command, type CommandLineForm, type CommonFlags, helpText, parseCommandLine } from './command-line.js';
import { releaseStartMemory } from './start-memory.js';

/** What a service needs of its process; `process` itself fits. */
export interface ProcessView {
  readonly argv: readonly string[];
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  exitCode?: string | number | null | undefined;
  exit(code: number): void;
  on(signal: StopSignal, listener: (signal: StopSignal) => void): unknown;
}

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT';

/** A configuration with what was said about it. */
export interface LoadedSettings<Settings> {
  readonly settings: Settings;
  readonly file?: string | undefined;
  readonly warnings: readonly string[];
  /** Name that the log shows. @default the program's */
  readonly logName?: string;
  readonly logLevel: LogLevel | undefined;
  /** Directory of the log file; without one the log goes to standard output. */
  readonly logDir: string | undefined;
  /** Of the log file. @default that of `createLogger` */
  readonly logRotation?: Partial<RotationLimits>;
  /** Write to standard output besides a file. */
  readonly isConsole: boolean;
  /** Where spans go and what they say of the host; undefined: nowhere. */
  readonly tracing?: Pick<TracingOptions, 'settings' | 'host'> | undefined;
}

export interface StartContext {
  readonly log: Logger;
  readonly flags: CommonFlags;
  /** Aborted when the service is to stop, which may be before its start is over. */
  readonly signal: AbortSignal;
  /** Ends the service as a signal would. */
  readonly end: (reason: string) => void;
}

/** A program that runs until it is told to stop. */
export interface ServiceProgram<Settings> extends CommandLineForm {
  readonly version: string;
  /** File in the log directory, e.g. `scheduler.log`. */
  readonly logFile: string;
  /** @param isStrict whether an unknown key is an error */
  load(flags: CommonFlags, isStrict: boolean): LoadedSettings<Settings>;
  start(settings: Settings, context: StartContext): Promise<{ stop(): Promise<void> }>;
}

/** A stop that hangs for longer than this is given up. */
export const STOP_TIMEOUT_MS = 15_000;

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs a service for the life of its process: command line, configuration, log, start, and the stop on SIGTERM, SIGINT
 * or SIGQUIT. A stop is bounded by `STOP_TIMEOUT_MS`; a second signal ends the process at once.
 *
 * Exit codes: 0 stopped, 1 could not start or stop, 2 wrong command line. A failure is one line on standard error.
 */
export async function runService<Settings>(program: ServiceProgram<Settings>, view: ProcessView): Promise<void> {
  let command: Command;
  try {
    command = parseCommandLine(program, view.argv.slice(2));
  } catch (caught) {
    view.stderr.write(`${program.name}: ${DfError.from(caught).message}\n`);
    view.exitCode = EXIT_USAGE;
    return;
  }
  try {
    await carryOut(program, command, view);
  } catch (caught) {
    view.stderr.write(`${program.name}: ${DfError.from(caught).message}\n`);
    view.exit(EXIT_FAILURE);
  }
}

async function carryOut<Settings>(
  program: ServiceProgram<Settings>,
  command: Command,
  view: ProcessView,
): Promise<void> {
  switch (command.kind) {
    case 'help':
      view.stdout.write(helpText(program));
      return;
    case 'version':
      view.stdout.write(`${program.name} ${program.version}\n`);
      return;
    case 'check-config': {
      const loaded = program.load(command, command.isStrict);
      for (const warning of loaded.warnings) view.stdout.write(`warning: ${warning}\n`);
      view.stdout.write(`${loaded.file ?? 'the default configuration'}: ok\n`);
      return;
    }
    case 'serve':
      await serve(program, command, view);
  }
}

async function serve<Settings>(
  program: ServiceProgram<Settings>,
  flags: CommonFlags,
  view: ProcessView,
): Promise<void> {
  const loaded = program.load(flags, false);
  const log = createLogger({
    service: loaded.logName ?? program.name,
    ...(loaded.logLevel === undefined ? {} : { level: loaded.logLevel }),
    file: loaded.logDir === undefined ? undefined : path.join(loaded.logDir, program.logFile),
    rotation: loaded.logRotation,
    console: loaded.isConsole || loaded.logDir === undefined,
  });
  for (const warning of loaded.warnings) log.warn(warning);
  log.info({ version: program.version, config: loaded.file ?? 'defaults' }, `${program.name} is starting`);

  // Set when the first reason to stop comes, which may be before the start is over.
  let stopReason: string | undefined;
  let running: { stop(): Promise<void> } | undefined;
  const stopping = new AbortController();
  const stopNow = (service: { stop(): Promise<void> }): void => {
    void stopWithin(service, log).then((code) => view.exit(code));
  };
  const end = (reason: string): void => {
    if (stopReason !== undefined) return;
    stopReason = reason;
    log.info({ reason }, `${program.name} is stopping`);
    if (running !== undefined) stopNow(running);
    stopping.abort();
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
    view.on(signal, () => {
      if (stopReason !== undefined) view.exit(EXIT_FAILURE);
      else end(signal);
    });
  }
  try {
    const { tracing } = loaded;
    const endTracing =
      tracing && (await startTracing({ ...tracing, service: program.name, version: program.version, log }));
    const service = await program.start(loaded.settings, { log, flags, signal: stopping.signal, end });
    running = endTracing === undefined ? service : { stop: () => service.stop().finally(endTracing) };
  } catch (error) {
    if (stopping.signal.aborted && DfError.from(error).code === 'cancelled') {
      view.exit(0);
      return;
    }
    log.error({ err: error }, `${program.name} could not start`);
    throw error;
  }
  if (stopReason !== undefined) stopNow(running);
  else releaseStartMemory(log, stopping.signal);
}

/** @returns the exit code */
async function stopWithin(service: { stop(): Promise<void> }, log: Logger): Promise<number> {
  const timeout = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    log.warn({ timeoutMs: STOP_TIMEOUT_MS }, 'does not stop in time');
    timeout.resolve(EXIT_FAILURE);
  }, STOP_TIMEOUT_MS);
  const stopping = service.stop().then(() => {
    log.info('stopped');
    return 0;
  });
  try {
    return await Promise.race([stopping, timeout.promise]);
  } catch (caught) {
    log.error({ err: DfError.from(caught) }, 'did not stop cleanly');
    return EXIT_FAILURE;
  } finally {
    clearTimeout(timer);
  }
}
