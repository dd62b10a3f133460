import type { Peer } from './task.js';

/** What a peer is told when it asks for parents. */
export type ScheduleAnswer =
  /** Fetch from these, best first; at least one. */
  | { readonly kind: 'parents'; readonly parents: readonly Peer[] }
  /** Fetch from the source. */
  | { readonly kind: 'back-to-source'; readonly reason: string }
  /** There is nothing to fetch from and the source is not allowed. */
  | { readonly kind: 'refused'; readonly code: 'not-found' | 'failed-precondition'; readonly message: string };

/** A peer that waits for an answer. */
export interface Waiter {
  readonly sinceMs: number;
  /** Called once, when the wait ends by an answer; not called when the peer goes away. */
  readonly answer: (answer: ScheduleAnswer) => void;
}
