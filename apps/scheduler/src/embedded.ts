/**
 * The scheduler without its transports, for programs that run it inside themselves (the simulator): every stream, message
 * and answer is the real code's; time, chance and the way to seeds are passed in.
 * @packageDocumentation
 */
import { DfError } from '@dragonfly/errors';
import { AddressGuard } from '@dragonfly/registry';
import type { Clock, SeedGateway } from '@dragonfly/scheduling';
import { silentLogger } from '@dragonfly/telemetry';
import { atOnce } from './announce/turns.js';
import { loadSchedulerConfig } from './config/scheduler-config.js';
import { DEFAULT_DYNAMIC_CONFIG, DynamicSettings } from './dynconfig/dynamic-config.js';
import { SchedulerCore } from './scheduler-core.js';
import { SourceControl } from './source/source-control.js';
import { loadPlugin } from './strategies/plugin-loader.js';
import { STRATEGY_NAMES } from './strategies/strategy-choice.js';

export type { AnnounceCall } from './announce/peer-session.js';
export type { SchedulerCore } from './scheduler-core.js';

export interface EmbeddedOptions {
  /** A built-in strategy, or the path of a plugin module. */
  readonly strategy: string;
  readonly candidateParentLimit: number;
  readonly filterParentLimit: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly seeds: SeedGateway;
}

/**
 * A scheduler with the default configuration, alone in its cluster.
 * @throws DfError `invalid-argument` when the strategy is neither built in nor a module that is one
 */
export async function embeddedScheduler(options: EmbeddedOptions): Promise<SchedulerCore> {
  const { strategy, clock, random } = options;
  const log = silentLogger();
  const isBuiltIn = strategy !== 'plugin' && STRATEGY_NAMES.some((name) => name === strategy);
  const { config } = loadSchedulerConfig({
    env: isBuiltIn
      ? { DRAGONFLY_SCHEDULER__ALGORITHM: strategy }
      : { DRAGONFLY_SCHEDULER__ALGORITHM: 'plugin', DRAGONFLY_SCHEDULER__PLUGIN__PATH: strategy },
  });
  let reason = '';
  const plugin = await loadPlugin(config, log, (text) => (reason = ` (${text})`));
  if (!isBuiltIn && plugin === undefined) {
    throw new DfError('invalid-argument', `${strategy}: neither a strategy nor a module that is one${reason}`);
  }
  const settings = new DynamicSettings(log);
  const { candidateParentLimit, filterParentLimit } = options;
  settings.apply({
    ...DEFAULT_DYNAMIC_CONFIG,
    schedulerClusterConfig: {
      ...DEFAULT_DYNAMIC_CONFIG.schedulerClusterConfig,
      candidateParentLimit,
      filterParentLimit,
    },
  });
  return new SchedulerCore({
    config,
    settings,
    source: SourceControl.inMemory(config.scheduler.sourceLease.readers),
    probe: { isServing: () => Promise.resolve(true) },
    seedTls: undefined,
    peerTls: undefined,
    seedGateway: options.seeds,
    turns: atOnce,
    remoteIp: '127.0.0.1',
    registryGuard: new AddressGuard(config.job.registry),
    clock,
    random,
    plugin,
    log,
    version: '0.0.0',
    onSeeds: () => undefined,
  });
}
