import { DfError } from '@dragonfly/errors';
import { SilenceWatch } from './silence-watch.js';

/**
 * A parent that was asked for pieces and sends not one byte for this long is waited for no longer where others have them.
 * Well above what a busy parent needs to begin, well below the time after which a silent one counts as dead.
 */
export const STARVED_AFTER_MS = 2000;
/** For this long after that it is asked only for what nobody else has. */
const SHUNNED_MS = 5000;

/**
 * The pieces that one parent has been asked for. As long as it sends bytes of any of them it is alive, however slow, and
 * keeps them all: moving them would cost what was sent already.
 */
export class StarvedPieces {
  private readonly waiting = new Map<number, AbortController>();
  private silence: SilenceWatch | undefined;
  private shunnedUntilMs = -Infinity;

  /** @param nowMs monotonic. @default performance.now */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** Whether it has lately let others wait, and has sent nothing since. */
  get isShunned(): boolean {
    return this.nowMs() < this.shunnedUntilMs;
  }

  /** The parent is asked for a piece. */
  add(number: number, move: AbortController): void {
    if (this.waiting.size === 0) this.silence = new SilenceWatch(STARVED_AFTER_MS, this.nowMs);
    this.waiting.set(number, move);
  }

  /** Bytes of one of its pieces came. */
  heard(number: number): void {
    if (!this.waiting.has(number)) return;
    this.silence?.heard(STARVED_AFTER_MS);
    this.shunnedUntilMs = -Infinity;
  }

  /** The piece is here, or will not come from this parent. */
  delete(number: number): void {
    this.waiting.delete(number);
  }

  /**
   * Takes back what the parent lets wait. To be called every second or more often.
   * @param isElsewhere whether another parent could be asked for the piece
   * @returns the pieces that were taken back: their requests end as cancelled
   */
  takeStarved(isElsewhere: (number: number) => boolean): number[] {
    if (this.waiting.size === 0 || this.silence?.isSilent() !== true) return [];
    const moved = [...this.waiting.keys()].filter(isElsewhere);
    if (moved.length > 0) this.shunnedUntilMs = this.nowMs() + SHUNNED_MS;
    for (const number of moved) {
      this.waiting.get(number)?.abort(new DfError('cancelled', 'the parent lets the piece wait'));
      this.waiting.delete(number);
    }
    return moved;
  }
}
