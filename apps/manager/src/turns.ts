import { Lock, type LockOptions } from '@dragonfly/kv';
import { Database } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';

/**
 * Work that one of several managers does at a time. A lock over all of them says whose turn it is; a token in the
 * database, which grows with every turn, fences off a manager that lost its lock without noticing: whatever it writes
 * after another one has begun is refused in the transaction itself.
 */
@Injectable()
export class Turns {
  constructor(
    private readonly lock: Lock,
    private readonly database: Database,
  ) {}

  /**
   * @param name of the lock and of the token
   * @param work told by the signal that its turn is over; it need not heed it for what it writes
   * @returns what the work returned, or 'busy' when another one was at it for the whole wait
   * @throws DfError `failed-precondition` by a write of the work after another manager has taken over
   */
  async run<T>(name: string, options: LockOptions, work: (over: AbortSignal) => Promise<T>): Promise<T | 'busy'> {
    return this.lock.run(name, options, (lost) =>
      this.database.inTurn(name, (turn) => work(AbortSignal.any([lost, turn.overtaken]))),
    );
  }
}
