import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { DfError } from '@dragonfly/errors';
import { type Strategy, STRATEGY_API_VERSION } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerConfig } from '../config/scheduler-config.js';
import { STRATEGY_NAMES } from './strategy-choice.js';

/** Name of a plugin that is looked for in `server.pluginDir` when no path is given. */
const DEFAULT_PLUGIN_FILE = 'd7y-scheduler-plugin-evaluator.mjs';
/** A name becomes a label of metrics and records. */
const NAME_PATTERN = /^[a-z0-9][a-z0-9_.-]{0,31}$/;

/**
 * The strategy module that the configuration names, when there is one. A plugin that cannot be loaded is replaced by the
 * default with a warning, as in the original: downloads matter more than their order.
 *
 * It is loaded also when nothing uses it yet: a cluster may ask for it later.
 * @returns `undefined` when none is configured, or it cannot be loaded
 */
export async function loadPlugin(
  config: SchedulerConfig,
  log: Logger,
  /** Told why there is none, by who wants to do more than go on without it. */
  onFailure?: (reason: string) => void,
): Promise<Strategy | undefined> {
  const { algorithm, plugin, split } = config.scheduler;
  const isWanted = algorithm === 'plugin' || split.some(({ name }) => name === 'plugin');
  if (plugin.path === '' && !isWanted) return undefined;
  const file = path.resolve(plugin.path || path.join(config.server.pluginDir, DEFAULT_PLUGIN_FILE));
  try {
    const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
    const strategy = assertStrategy(module.default, file);
    log.info({ strategy: strategy.name, file }, 'scheduling strategy loaded');
    return strategy;
  } catch (caught) {
    const reason = DfError.from(caught).message;
    log.warn({ reason, file }, 'scheduling strategy cannot be loaded, using the default');
    onFailure?.(reason);
    return undefined;
  }
}

/** @throws DfError `failed-precondition` saying what is wrong with the module */
function assertStrategy(candidate: unknown, file: string): Strategy {
  if (!isStrategyShaped(candidate)) {
    throw new DfError(
      'failed-precondition',
      `${file}: the default export has no name and score(child, candidates, now)`,
    );
  }
  if (candidate.apiVersion !== STRATEGY_API_VERSION) {
    throw new DfError(
      'failed-precondition',
      `${file}: made for strategy API ${candidate.apiVersion}, this scheduler has ${STRATEGY_API_VERSION}`,
    );
  }
  if (!NAME_PATTERN.test(candidate.name) || STRATEGY_NAMES.some((name) => name === candidate.name)) {
    throw new DfError(
      'failed-precondition',
      `${file}: name: must be lower-case letters, digits, '-', '_' or '.', at most 32, and none of ${STRATEGY_NAMES.join(', ')}`,
    );
  }
  return candidate;
}

function isStrategyShaped(candidate: unknown): candidate is Strategy {
  if (typeof candidate !== 'object' || candidate === null) return false;
  const { name, score, observe } = candidate as Partial<Strategy>;
  return (
    typeof name === 'string' && typeof score === 'function' && (observe === undefined || typeof observe === 'function')
  );
}
