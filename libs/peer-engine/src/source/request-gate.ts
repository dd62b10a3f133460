import { DfError } from '@dragonfly/errors';

/** Lets so many requests at a time to an origin; the number may change while some wait. */
export class RequestGate {
  private open = 0;
  private limit = Infinity;
  private readonly waiting = new Set<() => void>();

  /** 0 = no limit. */
  get limitOfOpen(): number {
    return this.limit === Infinity ? 0 : this.limit;
  }

  /** @param count 0 = no limit */
  setLimit(count: number): void {
    this.limit = count === 0 ? Infinity : count;
    this.admit();
  }

  /** Waits for its turn. @throws DfError when the signal fires before */
  async enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
    if (this.open < this.limit) {
      this.open += 1;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const onTurn = (): void => {
      this.open += 1;
      turn.resolve();
    };
    const onAbort = (): void => {
      this.waiting.delete(onTurn);
      turn.reject(DfError.from(signal.reason, 'cancelled'));
    };
    this.waiting.add(onTurn);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  leave(): void {
    this.open -= 1;
    this.admit();
  }

  private admit(): void {
    for (const onTurn of this.waiting) {
      if (this.open >= this.limit) return;
      this.waiting.delete(onTurn);
      onTurn();
    }
  }
}
