import type { RecordStore } from '@dragonfly/kv';
import type { dfdaemonV2 } from '@dragonfly/proto';
import type { Clock, LeaseAuthority, ParentScheduler, Peer, Resources, Task } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { Daemons } from '../jobs/daemons.js';
import { GuestPeers, type Holding } from './guest-peers.js';
import { HolderBoard } from './holder-board.js';

/**
 * A scheduler that was just started is not known to all hosts yet: for so long nobody is sent to a source that a host is
 * said to have read already and that may announce itself at any moment.
 */
const HOSTS_COME_MS = 10_000;

export interface HoldersOptions {
  /** Shared with the other schedulers of the cluster. */
  readonly records: RecordStore;
  readonly clusterId: number;
  /** Tells this scheduler from the others of its cluster. */
  readonly name: string;
  readonly resources: Resources;
  readonly scheduler: () => ParentScheduler;
  readonly daemons: Pick<Daemons, 'stat'>;
  readonly remove: (peer: Peer) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * What the schedulers of a cluster tell each other of the hosts that have a task. A client asks the scheduler that its
 * ring names; rings differ while a scheduler is added or lost, and between kinds of clients, and then two schedulers are
 * asked for the same task.
 */
export class Holders {
  readonly #board: HolderBoard;
  readonly guests: GuestPeers;
  readonly #isNew: () => boolean;

  constructor(options: HoldersOptions) {
    const startedAtMs = options.clock.nowMs();
    this.#isNew = () => options.clock.nowMs() - startedAtMs < HOSTS_COME_MS;
    const { records, clusterId, name, resources, scheduler, daemons, remove, clock, log } = options;
    this.#board = new HolderBoard({
      records,
      prefix: `scheduler:${clusterId}:`,
      name,
      isOwn: (peer) => !this.guests.has(peer),
      clock,
      log,
    });
    this.guests = new GuestPeers({
      board: this.#board,
      resources,
      scheduler,
      remove,
      clock,
      log,
      check: async (host, taskId, signal) => {
        let held: Holding = 'none';
        const answered = daemons.stat(host, [taskId], signal, (_id, answer) => {
          held = holdingIn(answer);
        });
        // A host that cannot be asked has nothing for anybody.
        await answered.catch((error: unknown) => {
          log.debug({ err: error, hostId: host.id }, 'host cannot be asked what it has');
        });
        return held;
      },
    });
  }

  /** A task may have one more peer that can serve. */
  changed(task: Task): void {
    this.#board.changed(task);
  }

  /**
   * Puts a question before every claim: whether another scheduler knows somebody who has the task. Those who wait are
   * given such parents before the lease is asked for; it then goes to whom they are of no use, or to nobody.
   */
  asking(authority: LeaseAuthority): LeaseAuthority {
    return {
      claim: (reader, decide) => {
        void this.guests.lookFor(reader.taskId).then((unknown) => {
          const awaited = this.#isNew() ? unknown.find(({ hostId }) => hostId !== reader.hostId) : undefined;
          if (awaited === undefined) authority.claim(reader, decide);
          else decide({ kind: 'taken', holder: awaited });
        });
      },
    };
  }

  close(): void {
    this.guests.close();
    this.#board.close();
  }
}

function holdingIn(answer: dfdaemonV2.StatLocalTaskResponse | Error): Holding {
  if (Error.isError(answer)) return 'none';
  if (answer.finishedAt !== undefined) return 'complete';
  return answer.failedAt === undefined ? 'part' : 'none';
}
