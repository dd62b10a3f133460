import { FALLBACK_REASONS, type FallbackReason, type Peer } from '@dragonfly/scheduling';
import { Counter, type Registry, Summary } from 'prom-client';

const PREFIX = 'dragonfly_scheduler_strategy_';
const SUMMARY_MAX_AGE_SECONDS = 600;
const SUMMARY_AGE_BUCKETS = 5;

/**
 * What strategies decided and how the downloads went, by name of the strategy: the two sides of an A/B test. The names
 * are those of the configuration, at most four.
 */
export class StrategyMetrics {
  readonly #decisions: Counter<'strategy' | 'result'>;
  readonly #fallbacks: Counter<'strategy' | 'reason'>;
  /** Counts per piece are kept plain and turned into metrics when somebody asks for them. */
  readonly #transfers = new Map<string, Transfers>();
  readonly #durations: Summary<'strategy'>;
  readonly #downloads: Counter<'strategy' | 'result'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#decisions = new Counter({
      name: `${PREFIX}decisions_total`,
      help: 'Choices of parents, by strategy and whether any were found.',
      labelNames: ['strategy', 'result'],
      registers,
    });
    this.#fallbacks = new Counter({
      name: `${PREFIX}fallbacks_total`,
      help: 'Choices that the default strategy made because this one gave no usable answer.',
      labelNames: ['strategy', 'reason'],
      registers,
    });
    const transfers = this.#transfers;
    new Counter({
      name: `${PREFIX}pieces_total`,
      help: 'Pieces that children got, or failed to get, from parents.',
      labelNames: ['strategy', 'result'],
      registers,
      collect() {
        this.reset();
        for (const [strategy, { finished, failed }] of transfers) {
          this.inc({ strategy, result: 'finished' }, finished);
          this.inc({ strategy, result: 'failed' }, failed);
        }
      },
    });
    new Counter({
      name: `${PREFIX}bytes_total`,
      help: 'Bytes downloaded, by strategy and where they came from.',
      labelNames: ['strategy', 'traffic_type'],
      registers,
      collect() {
        this.reset();
        for (const [strategy, { sourceBytes, peerBytes }] of transfers) {
          this.inc({ strategy, traffic_type: 'BACK_TO_SOURCE' }, sourceBytes);
          this.inc({ strategy, traffic_type: 'REMOTE_PEER' }, peerBytes);
        }
      },
    });
    this.#downloads = new Counter({
      name: `${PREFIX}downloads_total`,
      help: 'Downloads that ended.',
      labelNames: ['strategy', 'result'],
      registers,
    });
    this.#durations = new Summary({
      name: `${PREFIX}download_duration_milliseconds`,
      help: 'Time from registration to success of a peer.',
      labelNames: ['strategy'],
      percentiles: [0.5, 0.9, 0.95, 0.99],
      maxAgeSeconds: SUMMARY_MAX_AGE_SECONDS,
      ageBuckets: SUMMARY_AGE_BUCKETS,
      registers,
    });
  }

  decided(peer: Peer, parents: readonly Peer[]): void {
    this.#decisions.inc({ strategy: peer.strategyLabel, result: parents.length > 0 ? 'parents' : 'none' });
  }

  fellBack(strategy: string, reason: FallbackReason): void {
    this.#fallbacks.inc({ strategy, reason });
  }

  /** Shows a strategy that never fell back with zeros. */
  introduce(strategy: string): void {
    for (const reason of FALLBACK_REASONS) this.#fallbacks.inc({ strategy, reason }, 0);
  }

  pieceFinished(peer: Peer, isFromSource: boolean, lengthBytes: number): void {
    const transfers = this.#transfersOf(peer.strategyLabel);
    if (isFromSource) {
      transfers.sourceBytes += lengthBytes;
    } else {
      transfers.finished += 1;
      transfers.peerBytes += lengthBytes;
    }
  }

  pieceFailed(peer: Peer): void {
    this.#transfersOf(peer.strategyLabel).failed += 1;
  }

  downloadEnded(peer: Peer): void {
    const isSuccess = peer.state === 'Succeeded';
    this.#downloads.inc({ strategy: peer.strategyLabel, result: isSuccess ? 'succeeded' : 'failed' });
    if (isSuccess) this.#durations.observe({ strategy: peer.strategyLabel }, peer.costMs);
  }

  #transfersOf(strategy: string): Transfers {
    let transfers = this.#transfers.get(strategy);
    if (transfers === undefined) {
      transfers = { finished: 0, failed: 0, sourceBytes: 0, peerBytes: 0 };
      this.#transfers.set(strategy, transfers);
    }
    return transfers;
  }
}

interface Transfers {
  finished: number;
  failed: number;
  sourceBytes: number;
  peerBytes: number;
}
