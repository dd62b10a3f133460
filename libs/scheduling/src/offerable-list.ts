/** A member knows its place in the list, so that it can be taken out without a search. */
export interface Offerable {
  /** -1 while it is in no list; owned by {@link OfferableList}. */
  offerableSlot: number;
}

/** An unordered list with removal and random sampling in constant time per member. */
export class OfferableList<Member extends Offerable> {
  readonly #members: Member[] = [];

  /** In no order. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Puts the member in, or takes it out; a member that is there already stays. */
  set(member: Member, isIn: boolean): void {
    const slot = member.offerableSlot;
    if (isIn === slot >= 0) return;
    if (isIn) {
      member.offerableSlot = this.#members.push(member) - 1;
      return;
    }
    const last = this.#members.pop();
    if (last !== undefined && last !== member) {
      this.#members[slot] = last;
      last.offerableSlot = slot;
    }
    member.offerableSlot = -1;
  }

  /**
   * Members in random order, each once. The list must not be changed meanwhile.
   *
   * Lazy: a step of the Fisher-Yates shuffle for each one taken, in place, because the order means nothing.
   * @param random uniform in [0, 1)
   */
  *sample(random: () => number): IterableIterator<Member> {
    const list = this.#members;
    for (let index = 0; index < list.length; index++) {
      const chosen = index + Math.floor(random() * (list.length - index));
      const member = list[chosen];
      const displaced = list[index];
      if (member === undefined || displaced === undefined) return;
      list[chosen] = displaced;
      displaced.offerableSlot = chosen;
      list[index] = member;
      member.offerableSlot = index;
      yield member;
    }
  }
}
