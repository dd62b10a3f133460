import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { DfError } from '@dragonfly/errors';
import { defaultStrategy, type Strategy, STRATEGY_API_VERSION } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerConfig } from './config/scheduler-config.js';

/** Name of a plugin that is looked for in `server.pluginDir` when no path is given. */
const DEFAULT_PLUGIN_FILE = 'd7y-scheduler-plugin-evaluator.mjs';

/**
 * The strategy that the configuration names. A plugin that cannot be loaded is replaced by the default with a warning,
 * as in the original: downloads matter more than their order.
 */
export async function loadStrategy(config: SchedulerConfig, log: Logger): Promise<Strategy> {
  if (config.scheduler.algorithm === 'default') return defaultStrategy;
  const file = path.resolve(config.scheduler.plugin.path || path.join(config.server.pluginDir, DEFAULT_PLUGIN_FILE));
  try {
    const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
    const strategy = assertStrategy(module.default, file);
    log.info({ strategy: strategy.name, file }, 'scheduling strategy loaded');
    return strategy;
  } catch (caught) {
    log.warn({ reason: DfError.from(caught).message, file }, 'scheduling strategy cannot be loaded, using the default');
    return defaultStrategy;
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
  return candidate;
}

function isStrategyShaped(candidate: unknown): candidate is Strategy {
  if (typeof candidate !== 'object' || candidate === null) return false;
  const { name, score } = candidate as Partial<Strategy>;
  return typeof name === 'string' && typeof score === 'function';
}
