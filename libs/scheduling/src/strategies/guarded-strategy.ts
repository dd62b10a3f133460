import { defaultStrategy, type PieceObservation, type ScoredPeer, type Strategy } from '../strategy.js';

/** Why a strategy's answer was not taken. */
export const FALLBACK_REASONS = ['threw', 'wrong-length', 'not-finite', 'slow', 'suspended'] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

export interface GuardOptions {
  /** Longest time one answer may take. @default 5 ms: a thousand decisions a second leave a millisecond for each */
  readonly budgetMs?: number;
  /** Bad answers in a row after which it is not asked for a while. @default 5 */
  readonly maxBadInRow?: number;
  /** How long it is not asked then. @default 30 s */
  readonly suspensionMs?: number;
  /** For measuring how long an answer took, in milliseconds. @default performance.now */
  readonly stopwatchMs?: () => number;
  /** Told of every answer that was not taken; `error` for `threw`. */
  readonly onFallback?: (reason: FallbackReason, error?: unknown) => void;
}

const DEFAULTS = { budgetMs: 5, maxBadInRow: 5, suspensionMs: 30_000 } as const;

/**
 * Keeps somebody else's strategy from stopping downloads: when it throws, answers anything but one finite number per
 * candidate, or takes too long, the default strategy decides in its place. After several such answers in a row it is
 * left alone for a while: a call cannot be cut short, but it need not be made again and again.
 *
 * It gets a list of its own, so that sorting it does no harm.
 */
export class GuardedStrategy implements Strategy {
  readonly name: string;
  readonly apiVersion: number;
  readonly #inner: Strategy;
  readonly #options: GuardOptions;
  readonly #stopwatchMs: () => number;
  #badInRow = 0;
  #suspendedUntilMs = -Infinity;

  constructor(inner: Strategy, options: GuardOptions = {}) {
    this.name = inner.name;
    this.apiVersion = inner.apiVersion;
    this.#inner = inner;
    this.#options = options;
    this.#stopwatchMs = options.stopwatchMs ?? (() => performance.now());
  }

  score(child: ScoredPeer, candidates: readonly ScoredPeer[], nowMs: number): readonly number[] {
    const scores = this.#ask(child, candidates, nowMs);
    return scores ?? defaultStrategy.score(child, candidates, nowMs);
  }

  observe(observation: PieceObservation): void {
    if (this.#inner.observe === undefined || observation.nowMs < this.#suspendedUntilMs) return;
    const startMs = this.#stopwatchMs();
    try {
      this.#inner.observe(observation);
    } catch (error) {
      this.#refuse('threw', observation.nowMs, error);
      return;
    }
    if (this.#stopwatchMs() - startMs > this.#budgetMs) this.#refuse('slow', observation.nowMs);
  }

  get #budgetMs(): number {
    return this.#options.budgetMs ?? DEFAULTS.budgetMs;
  }

  #ask(child: ScoredPeer, candidates: readonly ScoredPeer[], nowMs: number): readonly number[] | undefined {
    if (nowMs < this.#suspendedUntilMs) {
      this.#options.onFallback?.('suspended');
      return undefined;
    }
    const startMs = this.#stopwatchMs();
    let scores: unknown;
    try {
      scores = this.#inner.score(child, [...candidates], nowMs);
    } catch (error) {
      return this.#refuse('threw', nowMs, error);
    }
    if (this.#stopwatchMs() - startMs > this.#budgetMs) return this.#refuse('slow', nowMs);
    if (!Array.isArray(scores) || scores.length !== candidates.length) return this.#refuse('wrong-length', nowMs);
    const numbers: readonly unknown[] = scores;
    if (!areFinite(numbers)) return this.#refuse('not-finite', nowMs);
    this.#badInRow = 0;
    return numbers;
  }

  #refuse(reason: FallbackReason, nowMs: number, error?: unknown): undefined {
    this.#badInRow += 1;
    if (this.#badInRow >= (this.#options.maxBadInRow ?? DEFAULTS.maxBadInRow)) {
      this.#badInRow = 0;
      this.#suspendedUntilMs = nowMs + (this.#options.suspensionMs ?? DEFAULTS.suspensionMs);
    }
    this.#options.onFallback?.(reason, error);
    return undefined;
  }
}

function areFinite(values: readonly unknown[]): values is readonly number[] {
  // Not `every`: it leaves out holes.
  for (let index = 0; index < values.length; index++) if (!Number.isFinite(values[index])) return false;
  return true;
}
