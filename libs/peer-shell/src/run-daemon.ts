import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { effectiveProfile, loadDaemonConfig, type RoleProfile } from '@dragonfly/peer-engine';
import { createLogger, type Logger } from '@dragonfly/telemetry';
import { helpOf, parseCommandLine, type Command, type ServeCommand } from './command-line.js';
import { Daemon } from './daemon.js';

/** What a main file hands over: the process as seen by the rest. */
export interface ProcessView {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
  print(text: string): void;
  /** Ends the process. */
  exit(code: number): void;
  /** Calls back on SIGTERM, SIGINT and SIGQUIT. */
  onStopSignal(listener: (signal: string) => void): void;
}

/** A stop that hangs for longer than this is given up. */
const STOP_TIMEOUT_MS = 15_000;

/**
 * Runs the daemon in a role until it is told to stop or has nothing to do any more. Never rejects: a failure is one line
 * on standard error (by the caller's `exit`) and in the log.
 * @returns the exit code, for commands that end by themselves; undefined while the daemon runs
 */
export async function runDaemon(profile: RoleProfile, view: ProcessView): Promise<number | undefined> {
  const command = parseCommandLine(view.args);
  switch (command.kind) {
    case 'help':
      view.print(helpOf(profile.name));
      return 0;
    case 'version':
      view.print(`${profile.name} ${view.version}\n`);
      return 0;
    case 'check-config':
      return checkConfig(command, view);
    case 'serve':
      await serve(profile, command, view);
      return undefined;
  }
}

function checkConfig(command: Extract<Command, { kind: 'check-config' }>, view: ProcessView): number {
  const loaded = loadDaemonConfig({ file: command.config, env: view.env, strict: command.isStrict });
  for (const warning of loaded.warnings) view.print(`warning: ${warning}\n`);
  view.print(`${loaded.file ?? 'defaults'}: ok\n`);
  return 0;
}

async function serve(wanted: RoleProfile, command: ServeCommand, view: ProcessView): Promise<void> {
  const loaded = loadDaemonConfig({ file: command.config, env: view.env, isOnDemand: command.isOnDemand });
  const config =
    command.dynconfig === undefined
      ? loaded.config
      : { ...loaded.config, dynconfig: { ...loaded.config.dynconfig, path: command.dynconfig } };
  const profile = effectiveProfile(wanted, config.seedPeer);
  const log = createLogger({
    service: profile.name,
    ...(command.logLevel === undefined ? {} : { level: command.logLevel }),
    file: logFileOf(command, loaded.places.logDir),
    console: command.isConsole,
  });
  for (const warning of loaded.warnings) log.warn(warning);
  log.info({ version: view.version, config: loaded.file ?? 'defaults' }, 'daemon is starting');
  let daemon: Daemon | undefined;
  let isStopping = false;
  const stop = (reason: string): void => {
    if (isStopping) return;
    isStopping = true;
    log.info({ reason }, 'daemon is stopping');
    void stopWithin(daemon, log).then((code) => {
      view.exit(code);
    });
  };
  view.onStopSignal(stop);
  try {
    daemon = await Daemon.start({
      profile,
      config,
      log,
      version: view.version,
      arePortsReplaceable: command.isOnDemand,
      sourceProxy: proxyOf(view.env),
      instanceName: instanceNameOf(view.env),
      onIdle: () => {
        stop('idle');
      },
    });
  } catch (error) {
    log.error({ err: error }, 'daemon could not start');
    throw error;
  }
  // The signal may have come while it started.
  if (isStopping) view.exit(await stopWithin(daemon, log));
}

async function stopWithin(daemon: Daemon | undefined, log: Logger): Promise<number> {
  const timeout = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    log.warn({ timeoutMs: STOP_TIMEOUT_MS }, 'the daemon does not stop in time');
    timeout.resolve(1);
  }, STOP_TIMEOUT_MS);
  try {
    return await Promise.race([
      (async () => {
        await daemon?.stop();
        log.info('daemon stopped');
        return 0;
      })(),
      timeout.promise,
    ]);
  } catch (caught) {
    log.error({ err: DfError.from(caught) }, 'daemon did not stop cleanly');
    return 1;
  } finally {
    clearTimeout(timer);
  }
}

/** Without --console and --log-dir a daemon writes its default log file, as today's does. */
function logFileOf(command: ServeCommand, defaultDir: string): string | undefined {
  if (command.logDir !== undefined) return path.join(command.logDir, 'dfdaemon.log');
  return command.isConsole ? undefined : path.join(defaultDir, 'dfdaemon.log');
}

/** Proxy variables that every download tool honours. */
function proxyOf(env: NodeJS.ProcessEnv): { httpProxy?: string; httpsProxy?: string; noProxy?: string } {
  const httpProxy = env['http_proxy'];
  const httpsProxy = env['https_proxy'] ?? env['HTTPS_PROXY'];
  const noProxy = env['no_proxy'] ?? env['NO_PROXY'];
  return {
    ...(httpProxy ? { httpProxy } : {}),
    ...(httpsProxy ? { httpsProxy } : {}),
    ...(noProxy ? { noProxy } : {}),
  };
}

/** Name of the pod in Kubernetes, as today's daemon announces it. */
function instanceNameOf(env: NodeJS.ProcessEnv): string | undefined {
  const pod = env['POD_NAME'];
  if (!pod) return undefined;
  const namespace = env['POD_NAMESPACE'];
  return namespace ? `${namespace}-${pod}` : pod;
}
