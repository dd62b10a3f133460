import {
  AdaptiveStrategy,
  defaultStrategy,
  type FallbackReason,
  GuardedStrategy,
  type Peer,
  randomStrategy,
  type Strategy,
  StrategySplit,
  type Task,
} from '@dragonfly/scheduling';
import type { Clock } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import { chosen, type StrategyChoice, type StrategyName, type StrategyOverride } from './strategy-choice.js';
import type { StrategyMetrics } from './strategy-metrics.js';

/** A bad answer of a plugin is logged at most this often; all of them are counted. */
const FALLBACK_LOG_INTERVAL_MS = 60_000;

export interface StrategyDeskOptions {
  /** The scheduler's own configuration. */
  readonly choice: StrategyChoice;
  /** What the cluster says in its place, now. */
  readonly override: () => StrategyOverride | undefined;
  /** The loaded module of `scheduler.plugin.path`, when there is one. */
  readonly plugin: Strategy | undefined;
  readonly metrics: StrategyMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Names the strategy for each task, tells strategies what peers report, and counts both by strategy. Strategies live as
 * long as the process: what an adaptive one has learnt outlasts a change of the split.
 */
export class StrategyDesk {
  readonly #options: StrategyDeskOptions;
  readonly #byName = new Map<StrategyName, Strategy>();
  #split: StrategySplit | undefined;
  #override: StrategyOverride | undefined;
  #choiceText = '';
  #quietUntilMs = -Infinity;

  constructor(options: StrategyDeskOptions) {
    this.#options = options;
  }

  readonly strategyFor = (task: Task): Strategy => this.#current().strategyFor(task.id);

  readonly decided = (peer: Peer, parents: readonly Peer[]): void => {
    this.#options.metrics.decided(peer, parents);
  };

  /** @param parent `undefined` when it is not known any more, or was the source */
  pieceFinished(
    peer: Peer,
    parent: Peer | undefined,
    isFromSource: boolean,
    lengthBytes: number,
    costMs: number,
  ): void {
    this.#options.metrics.pieceFinished(peer, isFromSource, lengthBytes);
    if (parent === undefined || parent.host === peer.host) return;
    const nowMs = this.#options.clock.nowMs();
    this.#current().observe({ child: peer, parent, isSuccess: true, lengthBytes, costMs, nowMs });
  }

  pieceFailed(peer: Peer, parent: Peer | undefined): void {
    this.#options.metrics.pieceFailed(peer);
    if (parent === undefined || parent.host === peer.host) return;
    const nowMs = this.#options.clock.nowMs();
    this.#current().observe({ child: peer, parent, isSuccess: false, lengthBytes: 0, costMs: 0, nowMs });
  }

  /** The peer has reported its end. */
  downloadEnded(peer: Peer): void {
    this.#options.metrics.downloadEnded(peer);
  }

  /** The division in force; made anew when the cluster says something else. */
  #current(): StrategySplit {
    const override = this.#options.override();
    if (this.#split !== undefined && override === this.#override) return this.#split;
    this.#override = override;
    const choice = chosen(this.#options.choice, override);
    const text = JSON.stringify([choice.algorithm, choice.split]);
    // Every refresh of the settings brings a new object, most of which say the same.
    if (this.#split !== undefined && text === this.#choiceText) return this.#split;
    this.#choiceText = text;
    this.#split = new StrategySplit(
      this.#strategy(choice.algorithm),
      choice.split.map(({ name, percent }) => ({ strategy: this.#strategy(name), percent })),
    );
    this.#options.log.info({ algorithm: choice.algorithm, split: choice.split }, 'scheduling strategy');
    return this.#split;
  }

  #strategy(name: StrategyName): Strategy {
    let strategy = this.#byName.get(name);
    if (strategy === undefined) {
      strategy = this.#make(name);
      this.#byName.set(name, strategy);
    }
    return strategy;
  }

  #make(name: StrategyName): Strategy {
    switch (name) {
      case 'default':
        return defaultStrategy;
      case 'random':
        return randomStrategy();
      case 'adaptive':
        return new AdaptiveStrategy();
      case 'plugin': {
        const { plugin, metrics } = this.#options;
        if (plugin === undefined) return defaultStrategy;
        metrics.introduce(plugin.name);
        return new GuardedStrategy(plugin, {
          onFallback: (reason, error) => {
            this.#fellBack(plugin.name, reason, error);
          },
        });
      }
    }
  }

  #fellBack(strategy: string, reason: FallbackReason, error: unknown): void {
    const { metrics, clock, log } = this.#options;
    metrics.fellBack(strategy, reason);
    const nowMs = clock.nowMs();
    if (nowMs < this.#quietUntilMs) return;
    this.#quietUntilMs = nowMs + FALLBACK_LOG_INTERVAL_MS;
    log.warn(
      { strategy, reason, ...(error === undefined ? {} : { err: error }) },
      'scheduling plugin gave no usable answer, the default decided',
    );
  }
}
