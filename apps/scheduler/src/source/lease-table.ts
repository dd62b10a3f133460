import type { LeaseAuthority, LeaseHandle, LeaseHolder, LeaseVerdict, SourceReader } from '@dragonfly/scheduling';
import type { LeaseBackend, OwnedLease } from './lease-backend.js';
import { type Allowance, NO_BUDGET, type OriginBudget, originOf } from './origin-budget.js';

/** One host that reads the source of a task, or is about to. */
interface Slot {
  holder: LeaseHolder;
  readonly origin: string;
  /** The origin's budget counts it. */
  isCounted: boolean;
  /** Conversations and holds that share it. */
  users: number;
  /** Undefined while the backend is being asked. */
  owned: OwnedLease | undefined;
  /** Readers of the same host that came in the meantime. */
  readonly followers: ((verdict: LeaseVerdict) => void)[];
}

/**
 * All source leases of this scheduler, however they came about: by its conversations or by daemons that asked for one.
 * At most `limit` hosts read the source of one task; what this process knows decides first, the backend is asked only for
 * a lease that nobody here has.
 */
export class SourceLeaseTable implements LeaseAuthority {
  readonly #slots = new Map<string, Slot[]>();
  #count = 0;
  #isStopping = false;

  /** @param limit hosts that may read the source of one task at a time */
  constructor(
    private readonly backend: LeaseBackend,
    private readonly limit: () => number,
    private readonly budget: OriginBudget = NO_BUDGET,
  ) {}

  /**
   * From now on no lease ends: the streams that hold them are about to be cut by this scheduler's stop, while their hosts
   * go on reading. These take their leases over elsewhere, or from the next run; the others end with their time.
   */
  keepAll(): void {
    this.#isStopping = true;
  }

  /** Leases that are held now, or being asked for. */
  get count(): number {
    return this.#count;
  }

  claim(reader: SourceReader, decide: (verdict: LeaseVerdict) => void): void {
    const slots = this.#slots.get(reader.taskId) ?? [];
    const shared = slots.find(({ holder }) => holder.hostId !== '' && holder.hostId === reader.hostId);
    if (shared !== undefined) {
      if (shared.owned === undefined) shared.followers.push(decide);
      else decide(this.#grant(reader.taskId, shared));
      return;
    }
    const [first] = slots;
    if (first !== undefined && slots.length >= this.limit()) {
      decide({ kind: 'taken', holder: first.holder });
      return;
    }
    const slot: Slot = {
      holder: { hostId: reader.hostId, peerId: reader.peerId },
      origin: originOf(reader.url),
      isCounted: false,
      users: 0,
      owned: undefined,
      followers: [],
    };
    this.#slots.set(reader.taskId, [...slots, slot]);
    this.#count += 1;
    const admitted = this.budget.enter(slot.origin);
    if (typeof admitted === 'boolean') {
      this.#admitted(reader.taskId, slot, admitted, decide);
    } else {
      void admitted.then((isAdmitted) => {
        this.#admitted(reader.taskId, slot, isAdmitted, decide);
      });
    }
  }

  /** @returns what one reader of the task's origin may do now */
  allowanceOf(url: string): Allowance {
    return this.budget.allowanceOf(originOf(url));
  }

  #admitted(taskId: string, slot: Slot, isAdmitted: boolean, decide: (verdict: LeaseVerdict) => void): void {
    if (!isAdmitted) {
      this.#refused(taskId, slot, { kind: 'busy' }, decide);
      return;
    }
    slot.isCounted = true;
    const answer = this.backend.claim(taskId, slot.holder);
    if (answer instanceof Promise) {
      void answer.then((verdict) => {
        if (verdict.kind === 'owned') this.#opened(taskId, slot, verdict, decide);
        else this.#refused(taskId, slot, { kind: 'taken', holder: verdict.holder }, decide);
      });
    } else {
      this.#opened(taskId, slot, answer, decide);
    }
  }

  #opened(taskId: string, slot: Slot, owned: OwnedLease, decide: (verdict: LeaseVerdict) => void): void {
    slot.owned = owned;
    decide(this.#grant(taskId, slot));
    for (const follow of slot.followers.splice(0)) follow(this.#grant(taskId, slot));
  }

  #refused(taskId: string, slot: Slot, verdict: LeaseVerdict, decide: (verdict: LeaseVerdict) => void): void {
    this.#forget(taskId, slot);
    decide(verdict);
    for (const follow of slot.followers.splice(0)) follow(verdict);
  }

  #grant(taskId: string, slot: Slot): LeaseVerdict {
    slot.users += 1;
    let isReleased = false;
    const handle: LeaseHandle = {
      passTo: (holder) => {
        if (isReleased || (slot.holder.hostId === holder.hostId && slot.holder.peerId === holder.peerId)) return;
        slot.holder = holder;
        slot.owned?.passTo(holder);
      },
      release: () => {
        if (isReleased || this.#isStopping) return;
        isReleased = true;
        slot.users -= 1;
        if (slot.users > 0) return;
        this.#forget(taskId, slot);
        slot.owned?.release();
      },
    };
    return { kind: 'granted', handle };
  }

  #forget(taskId: string, slot: Slot): void {
    const rest = (this.#slots.get(taskId) ?? []).filter((other) => other !== slot);
    if (rest.length === 0) this.#slots.delete(taskId);
    else this.#slots.set(taskId, rest);
    this.#count -= 1;
    if (slot.isCounted) this.budget.leave(slot.origin);
  }
}
