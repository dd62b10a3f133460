/** A member knows its place in the list, so that it can be taken out without a search. */
export interface Offerable {
  /** -1 while it is in no list; owned by {@link OfferableList}. */
  offerableSlot: number;
}

/**
 * Members among which draws are made. What a draw looks at of a member is spread over a dozen cache lines, so a member that
 * was not looked at lately costs about ten times as much as one that was; the window is what the second-level cache of
 * a server's core holds (about 1 KiB each).
 */
export const DRAW_WINDOW = 1024;

/**
 * An unordered list with removal and random sampling in constant time per member.
 *
 * Of a long list, draws are made among the first {@link DRAW_WINDOW} members, which are exchanged for others little by
 * little ({@link OfferableList.renew}): each draw is a random one of the window, and over time everybody is in it equally
 * long. So a draw costs the same however long the list is, also by what the processor has at hand.
 */
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
   * order, those of the window first, each once, and costs the same for each however many there are (a step of the
   * Fisher-Yates shuffle, in place, because the order means nothing). The list must not be changed meanwhile.
   * @param random uniform in [0, 1)
   * @returns `undefined` when there are not so many
   */
  draw(index: number, random: () => number): Member | undefined {
    const list = this.#members;
    const end = index < DRAW_WINDOW ? Math.min(DRAW_WINDOW, list.length) : list.length;
    const chosen = index + Math.floor(random() * (end - index));
    return this.#exchange(index, chosen);
  }

  /**
   * Exchanges a member of the window for a random one from outside of it.
   * @param random uniform in [0, 1)
   * @returns who stands at `index` now; `undefined` when the window holds all there are
   */
  renew(index: number, random: () => number): Member | undefined {
    const outside = this.#members.length - DRAW_WINDOW;
    if (outside <= 0 || index >= DRAW_WINDOW) return undefined;
    return this.#exchange(index, DRAW_WINDOW + Math.floor(random() * outside));
  }

  /** Swaps two places. @returns who came to the first */
  #exchange(index: number, chosen: number): Member | undefined {
    const list = this.#members;
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
