import type { LeaseHolder } from '@dragonfly/scheduling';

/** A lease that is written down. */
export interface OwnedLease {
  readonly kind: 'owned';
  passTo(holder: LeaseHolder): void;
  release(): void;
}

/** Somebody has the lease that this process does not know of. */
export interface ForeignLease {
  readonly kind: 'foreign';
  readonly holder: LeaseHolder;
}

/**
 * Where leases are written down beyond this process's memory. Never fails: what cannot be written holds in this process
 * only, which is logged.
 */
export interface LeaseBackend {
  /** Takes one of the task's leases, or that of the same host over. Answers at once where it can. */
  claim(taskId: string, holder: LeaseHolder): OwnedLease | Promise<OwnedLease | ForeignLease>;
  /** Leases that are held stay written down: their hosts may go on reading. */
  close(): Promise<void>;
}

/** Leases that end with the process. */
export const memoryBackend: LeaseBackend = {
  claim: () => ({ kind: 'owned', passTo: () => undefined, release: () => undefined }),
  close: () => Promise.resolve(),
};
