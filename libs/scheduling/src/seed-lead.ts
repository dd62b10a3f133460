import { asPeerId } from '@dragonfly/ids';
import type { Clock } from './clock.js';
import type { SeedGateway, SeedTriggerResult } from './seed-gateway.js';
import { isConnected, type SourceLease } from './source-lease.js';
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
   * Asks a seed to fetch the task and gives it the lease, which is the turn's and nobody's yet.
   *
   * @returns false when no seed is to be asked: none is usable, one has failed lately, or the requester is one itself
   */
  take(turn: TaskTurn, lease: SourceLease, requester: Peer): boolean {
    const { task } = requester;
    const { unreachableSeeds } = lease;
    const nowMs = this.clock.nowMs();
    if (requester.host.facts.isSeed || unreachableSeeds.size >= MAX_SEED_ATTEMPTS) return false;
    if (turn.seedFailedAtMs !== undefined && nowMs - turn.seedFailedAtMs < SEED_FAILURE_MEMORY_MS) return false;
    // The gateway calls back later, never from within `trigger`.
    const trigger = this.seeds.trigger({
      task,
      requester,
      excludedHostIds: new Set([...unreachableSeeds, ...holdersThatFailed(requester)]),
      onSignOfLife: () => {
        lease.lastSignOfLifeMs = this.clock.nowMs();
        lease.lastProgressMs = lease.lastSignOfLifeMs;
      },
      onEnd: (result) => {
        if (lease.trigger === undefined) return;
        lease.trigger.isOpen = false;
        if (turn.lease === lease && !isConnected(lease)) this.onEnd(task, turn, result);
      },
    });
    if (trigger === undefined) return false;
    lease.trigger = trigger;
    lease.lastSignOfLifeMs = nowMs;
    lease.lastProgressMs = nowMs;
    lease.handle?.passTo({ hostId: trigger.hostId, peerId: '' });
    return true;
  }
}

/**
 * Hosts that have all of the task and of which the requester has had nothing: to ask such a seed to fetch what it has would
 * change nothing. It may stand still, or be out of the requester's reach alone.
 */
function holdersThatFailed(requester: Peer): string[] {
  const { peers } = requester.task;
  return [...requester.blockedParents]
    .map((id) => peers.get(asPeerId(id)))
    .filter((peer) => peer?.state === 'Succeeded')
    .map((peer) => peer?.host.id ?? '');
}
