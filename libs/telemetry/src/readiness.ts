import { DfError } from '@dragonfly/errors';

export interface Condition {
  readonly ok: boolean;
  /** Why, in words for an operator. */
  readonly detail?: string;
}

export interface ReadinessSnapshot {
  readonly service: string;
  readonly ready: boolean;
  readonly conditions: Readonly<Record<string, Condition>>;
}

/**
 * Whether a service can do its work, as named conditions. A service is ready while all of them hold; they may come and
 * go during its life.
 */
export class Readiness {
  private readonly conditions: Map<string, Condition>;
  private readonly waiters = new Set<() => void>();

  constructor(
    readonly service: string,
    names: readonly string[],
  ) {
    this.conditions = new Map(names.map((name) => [name, { ok: false }]));
  }

  /** @throws DfError `internal` for a condition that was not declared */
  set(name: string, ok: boolean, detail?: string): void {
    if (!this.conditions.has(name)) throw new DfError('internal', `${this.service} has no readiness condition ${name}`);
    this.conditions.set(name, detail === undefined ? { ok } : { ok, detail });
    if (this.ready) {
      for (const wake of this.waiters) wake();
    }
  }

  get ready(): boolean {
    return [...this.conditions.values()].every((condition) => condition.ok);
  }

  snapshot(): ReadinessSnapshot {
    return { service: this.service, ready: this.ready, conditions: Object.fromEntries(this.conditions) };
  }

  /** Resolves as soon as all conditions hold; rejects with the signal's reason. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.ready) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      reject(DfError.from(signal?.reason, 'cancelled'));
    };
    this.waiters.add(resolve);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      this.waiters.delete(resolve);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
