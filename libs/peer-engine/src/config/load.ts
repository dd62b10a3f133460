import { homedir } from 'node:os';
import { loadConfig, type LoadedConfig } from '@dragonfly/config';
import { warnOfIneffectiveKeys } from './ineffective-keys.js';
import { translateLegacy } from './legacy.js';
import { defaultPlaces, type Account, type DefaultPlaces } from './places.js';
import { daemonSchema, type DaemonConfig } from './schema.js';

/** How long a daemon that dfget started stays without work, when the file does not say: 5 minutes. */
const ON_DEMAND_ALIVE_TIME = '5m';

export interface LoadDaemonConfigOptions {
  /** A file that must exist; without it the default files are tried, then defaults. */
  readonly file?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Whose default directories count. @default the account of this process */
  readonly account?: Account;
  /** Makes unknown keys an error. */
  readonly strict?: boolean;
  /** The daemon was started by dfget: it leaves after five idle minutes unless the file says otherwise. */
  readonly isOnDemand?: boolean;
}

export interface LoadedDaemonConfig extends LoadedConfig<DaemonConfig> {
  readonly places: DefaultPlaces;
}

/**
 * Reads `dfdaemon.yaml` (today's schema, or the one of v2.0.8, which is translated) with overrides from the environment.
 * @throws DfError `invalid-argument` naming every wrong key; `not-found` for a missing `file`
 */
export function loadDaemonConfig(options: LoadDaemonConfigOptions): LoadedDaemonConfig {
  const places = defaultPlaces(options.account ?? currentAccount(options.env));
  const schema = daemonSchema(places);
  const loaded = loadConfig<DaemonConfig>({
    schema,
    file: options.file,
    defaultFiles: places.configFiles,
    env: options.env,
    translate: (raw) => {
      const translated = translateLegacy(raw);
      if (options.isOnDemand !== true) return translated;
      const value = typeof translated.value === 'object' && translated.value !== null ? translated.value : {};
      return { value: { aliveTime: ON_DEMAND_ALIVE_TIME, ...value }, warnings: translated.warnings };
    },
    ...(options.strict === undefined ? {} : { strict: options.strict }),
  });
  const ineffective = warnOfIneffectiveKeys(loaded.config, schema.parse({}));
  return { ...loaded, warnings: [...loaded.warnings, ...ineffective], places };
}

function currentAccount(env: NodeJS.ProcessEnv): Account {
  return { uid: process.getuid?.() ?? 0, home: env['HOME'] ?? homedir(), runtimeDir: env['XDG_RUNTIME_DIR'] };
}
