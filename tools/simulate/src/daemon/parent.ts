import type { Transfer } from '../network/link.js';
import type { SimulatedHost, Store } from './simulated-host.js';

/** For this long after it has let pieces wait a parent is asked only for what nobody else has; the daemon's own figure. */
const SHUNNED_MS = 5000;

/** A parent as one download sees it, with the pieces that it was asked for. */
export class Parent {
  readonly #asked = new Map<number, Transfer>();
  /** When it will have sent nothing for too long; infinite while nothing is asked of it. */
  #starvedAtMs = Infinity;
  #shunnedUntilMs = -Infinity;

  /** @param patienceMs how long it may let all pieces wait without sending anything; infinite = for ever */
  constructor(
    readonly peerId: string,
    readonly host: SimulatedHost,
    readonly store: Store,
    private readonly patienceMs: number,
  ) {}

  get inFlight(): number {
    return this.#asked.size;
  }

  /** Infinite when nothing waits, or may wait for ever. */
  get starvedAtMs(): number {
    return this.#starvedAtMs;
  }

  /** Whether it has lately let pieces wait, and has sent nothing since. */
  isShunned(nowMs: number): boolean {
    if (nowMs >= this.#shunnedUntilMs) return false;
    this.#listen(nowMs);
    return nowMs < this.#shunnedUntilMs;
  }

  ask(piece: number, transfer: Transfer, nowMs: number): void {
    if (this.#asked.size === 0) this.#starvedAtMs = nowMs + this.patienceMs;
    this.#asked.set(piece, transfer);
  }

  /** All of the piece is here. */
  arrived(piece: number, nowMs: number): void {
    this.#heard(nowMs);
    this.forget(piece);
  }

  /** The piece will not come from here. */
  forget(piece: number): void {
    this.#asked.delete(piece);
    if (this.#asked.size === 0) this.#starvedAtMs = Infinity;
  }

  /**
   * Takes pieces back, when it has let all of them wait for too long.
   * @param isElsewhere whether another parent could be asked for a piece
   * @returns those that are now nobody's
   */
  takeStarved(nowMs: number, isElsewhere: (piece: number) => boolean): number[] {
    this.#listen(nowMs);
    if (nowMs <= this.#starvedAtMs) return [];
    const taken = [...this.#asked.keys()].filter(isElsewhere);
    if (taken.length > 0) this.#shunnedUntilMs = nowMs + SHUNNED_MS;
    for (const piece of taken) this.forget(piece);
    return taken;
  }

  /** One whose bytes come in is alive, however slow it is. */
  #listen(nowMs: number): void {
    for (const transfer of this.#asked.values()) {
      if (!transfer.hasBegun) continue;
      this.#heard(nowMs);
      return;
    }
  }

  #heard(nowMs: number): void {
    this.#starvedAtMs = nowMs + this.patienceMs;
    this.#shunnedUntilMs = -Infinity;
  }
}
