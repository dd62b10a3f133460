import { parseByteSize } from '@dragonfly/config';
import { DfError } from '@dragonfly/errors';
import { effectiveProfile, loadDaemonConfig, type LoadedDaemonConfig, type RoleProfile } from '@dragonfly/peer-engine';
import type { ServiceProgram } from '@dragonfly/service';
import type { RotationLimits } from '@dragonfly/telemetry';
import { tracingSettings, tracingWarnings } from '@dragonfly/telemetry/tracing';
import { Daemon } from './daemon.js';

/** What the daemon is started with. */
export interface DaemonSettings {
  readonly profile: RoleProfile;
  readonly config: LoadedDaemonConfig['config'];
}

/**
 * The daemon as a program, with the flags of today's dfdaemon.
 *
 * @param role what it is unless its configuration says otherwise
 * @param env proxies of its downloads and the name of its pod are read from it, besides overrides of the configuration
 */
export function daemonProgram(
  role: RoleProfile,
  version: string,
  env: NodeJS.ProcessEnv,
): ServiceProgram<DaemonSettings> {
  return {
    name: role.name,
    summary: 'Downloads, stores and serves pieces on this host.',
    configHelp: ['(default ~/.config/dragonfly/dfdaemon.yaml, then', '/etc/dragonfly/dfdaemon.yaml, then built in)'],
    // What people type who know the daemon as a command of dfget.
    optionalWord: 'daemon',
    flags: {
      dynconfig: { type: 'string', value: 'FILE', help: ['scheduler addresses for a daemon without a manager'] },
      'on-demand': {
        type: 'boolean',
        help: ['leave after five idle minutes, and use free ports where', 'the default ones are taken'],
      },
      'log-max-files': { type: 'string', value: 'N', help: ['log files kept (6)'] },
      'log-max-file-size': { type: 'string', value: 'SIZE', help: ['size of one of them (1GiB)'] },
    },
    version,
    logFile: 'dfdaemon.log',
    load: (flags, isStrict) => {
      const { dynconfig, 'on-demand': isOnDemand } = flags.own;
      const loaded = loadDaemonConfig({
        file: flags.config,
        env,
        strict: isStrict,
        isOnDemand: isOnDemand === true,
      });
      const config =
        typeof dynconfig === 'string'
          ? { ...loaded.config, dynconfig: { ...loaded.config.dynconfig, path: dynconfig } }
          : loaded.config;
      const profile = effectiveProfile(role, config.seedPeer);
      const tracing = tracingSettings(config.tracing, env);
      return {
        settings: { profile, config },
        file: loaded.file,
        warnings: [...loaded.warnings, ...tracingWarnings(config.tracing)],
        logName: profile.name,
        logLevel: flags.logLevel,
        logRotation: rotationOf(flags.own),
        // Without --console and --log-dir a daemon writes its default log file, as today's does.
        logDir: flags.logDir ?? (flags.isConsole ? undefined : loaded.places.logDir),
        isConsole: flags.isConsole,
        tracing: tracing && { settings: tracing, host: config.host },
      };
    },
    start: ({ profile, config }, { log, flags, signal, end }) =>
      Daemon.start({
        profile,
        config,
        log,
        version,
        arePortsReplaceable: flags.own['on-demand'] === true,
        sourceProxy: proxyOf(env),
        instanceName: instanceNameOf(env),
        signal,
        onIdle: () => {
          end('idle');
        },
      }),
  };
}

/** @throws DfError `invalid-argument` naming the flag */
function rotationOf(flags: Readonly<Record<string, string | boolean | undefined>>): Partial<RotationLimits> {
  const { 'log-max-files': files, 'log-max-file-size': size } = flags;
  const maxFiles = files === undefined ? undefined : Number(files);
  if (maxFiles !== undefined && !(Number.isInteger(maxFiles) && maxFiles >= 1)) {
    throw new DfError('invalid-argument', '--log-max-files: must be a whole number of at least 1');
  }
  let maxFileBytes: number | undefined;
  if (typeof size === 'string') {
    try {
      maxFileBytes = parseByteSize(size);
    } catch (caught) {
      throw new DfError('invalid-argument', `--log-max-file-size: ${DfError.from(caught).message}`, { cause: caught });
    }
  }
  return {
    ...(maxFiles === undefined ? {} : { maxFiles }),
    ...(maxFileBytes === undefined ? {} : { maxFileBytes }),
  };
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
