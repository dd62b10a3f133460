/** Pieces looked at when one is chosen; bounds the cost for tasks of many thousand pieces. */
const SAMPLE_SIZE = 24;

/**
 * Pieces that some parent has and nobody is fetching. Choosing is constant time; the order either follows the content or
 * prefers what few parents have, so that peers that started together end up with different pieces to trade.
 */
export class ReadyPieces {
  private readonly numbers: number[] = [];
  private readonly positions = new Map<number, number>();

  /** @param random in [0, 1). @default Math.random */
  constructor(
    private readonly isSequential: boolean,
    private readonly random: () => number = Math.random,
  ) {}

  get size(): number {
    return this.numbers.length;
  }

  add(number: number): void {
    if (this.positions.has(number)) return;
    this.positions.set(number, this.numbers.length);
    this.numbers.push(number);
  }

  delete(number: number): void {
    const position = this.positions.get(number);
    if (position === undefined) return;
    this.positions.delete(number);
    const last = this.numbers.pop();
    if (last === undefined || last === number) return;
    this.numbers[position] = last;
    this.positions.set(last, position);
  }

  /** Chooses the next piece without taking it out. @param rarity how many parents have a piece */
  choose(rarity: (number: number) => number): number | undefined {
    if (this.isSequential) {
      return this.numbers.length === 0 ? undefined : this.numbers.reduce((left, right) => Math.min(left, right));
    }
    let best: number | undefined;
    let bestRarity = Infinity;
    const start = Math.floor(this.random() * this.numbers.length);
    for (let step = 0; step < Math.min(SAMPLE_SIZE, this.numbers.length); step += 1) {
      const number = this.numbers[(start + step) % this.numbers.length];
      if (number === undefined) continue;
      const value = rarity(number);
      if (value < bestRarity) {
        best = number;
        bestRarity = value;
      }
    }
    return best;
  }
}
