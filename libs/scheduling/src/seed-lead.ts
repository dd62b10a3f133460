import type { Clock } from './clock.js';
import type { SeedGateway, SeedTriggerResult } from './seed-gateway.js';
import { isConnected, newLease, type SourceLease } from './source-lease.js';
import type { Peer, Task } from './task.js';
import type { TaskTurn } from './task-turn.js';

/** A seed that could not get a task is not asked for it again for this long; the original's figure. */
const SEED_FAILURE_MEMORY_MS = 30 * 60_000;
/** Seeds that are tried for one lease when they cannot be reached. */
const MAX_SEED_ATTEMPTS = 3;

/** Gives source leases to seeds. */
export class SeedLead {
  /**
   * @param onEnd a trigger has ended that still had its task's lease, and no peer of the seed carries on
   */
  constructor(
    private readonly seeds: SeedGateway,
    private readonly clock: Clock,
    private readonly onEnd: (task: Task, turn: TaskTurn, result: SeedTriggerResult) => void,
  ) {}

  /**
   * Asks a seed to fetch the task and gives it the lease.
   *
   * @param unreachableSeeds host ids of seeds that were tried for this lease already
   * @returns false when no seed is to be asked: none is usable, one has failed lately, or the requester is one itself
   */
  take(turn: TaskTurn, requester: Peer, unreachableSeeds: ReadonlySet<string>): boolean {
    const { task } = requester;
    const nowMs = this.clock.nowMs();
    if (requester.host.facts.isSeed || unreachableSeeds.size >= MAX_SEED_ATTEMPTS) return false;
    if (turn.seedFailedAtMs !== undefined && nowMs - turn.seedFailedAtMs < SEED_FAILURE_MEMORY_MS) return false;
    // The gateway calls back later, never from within `trigger`.
    const begun: { lease?: SourceLease } = {};
    const trigger = this.seeds.trigger({
      task,
      requester,
      excludedHostIds: unreachableSeeds,
      onSignOfLife: () => {
        if (begun.lease === undefined) return;
        begun.lease.lastSignOfLifeMs = this.clock.nowMs();
        begun.lease.lastProgressMs = begun.lease.lastSignOfLifeMs;
      },
      onEnd: (result) => {
        const { lease } = begun;
        if (lease?.trigger === undefined) return;
        lease.trigger.isOpen = false;
        if (turn.lease === lease && !isConnected(lease)) this.onEnd(task, turn, result);
      },
    });
    if (trigger === undefined) return false;
    begun.lease = newLease({ trigger, unreachableSeeds }, nowMs);
    turn.lease = begun.lease;
    return true;
  }
}
