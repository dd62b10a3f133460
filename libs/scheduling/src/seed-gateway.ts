import type { Peer } from './task.js';
import type { SeedTrigger } from './source-lease.js';
import type { Task } from './task.js';

/** How a seed's work on a trigger ended. */
export type SeedTriggerResult =
  /** Its stream ended without an error. */
  | 'finished'
  /** It tried and could not (the source refused, the disk is full). */
  | 'failed'
  /** It could not be asked. */
  | 'unreachable';

export interface SeedTriggerRequest {
  readonly task: Task;
  /** The peer whose registration is passed on to the seed. */
  readonly requester: Peer;
  /** Host ids of seeds that must not be asked (again). */
  readonly excludedHostIds: ReadonlySet<string>;
  /** The seed said something on its answer stream: that it has begun, or that it has one more piece. */
  readonly onSignOfLife: () => void;
  /** Called once, never from within `trigger`. */
  readonly onEnd: (result: SeedTriggerResult) => void;
}

/** The way to the seed peers. */
export interface SeedGateway {
  /**
   * Asks the seed that owns the task to fetch it; returns without waiting for it.
   *
   * @returns `undefined` when no seed is usable; then neither callback is called
   */
  trigger(request: SeedTriggerRequest): SeedTrigger | undefined;
}

/** A scheduler without seeds. */
export const noSeeds: SeedGateway = { trigger: () => undefined };
