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
   * Puts a random one of the members from `index` on to that place: called for 0, 1, 2 … it gives the members in random
   * order, each once, and costs the same for each however many there are (a step of the Fisher-Yates shuffle, in place,
   * because the order means nothing). The list must not be changed meanwhile.
   * @param random uniform in [0, 1)
   * @returns `undefined` when there are not so many
   */
  draw(index: number, random: () => number): Member | undefined {
    const list = this.#members;
    const chosen = index + Math.floor(random() * (list.length - index));
    const member = list[chosen];
    const displaced = list[index];
    if (member === undefined || displaced === undefined) return undefined;
    if (chosen === index) return member;
    list[chosen] = displaced;
    displaced.offerableSlot = chosen;
    list[index] = member;
    member.offerableSlot = index;
    return member;
  }
}
