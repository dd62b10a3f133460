import type { Random } from '../random.js';
import type { Parent } from './parent.js';

/** Ready pieces that are looked at when the next one is chosen; the daemon's own figure. */
const CHOICE_SAMPLE = 24;
/** Part of its announced bandwidth that a busy parent is taken to have left. */
const BUSY_SHARE = 0.1;
const UNKNOWN_BANDWIDTH_BITS = 10e9;

/** Place in the wanted pieces of the rarest of some that a parent has; -1 when no parent has any. */
export function rarestOf(wanted: readonly number[], parents: readonly Parent[], random: Random): number {
  let best = -1;
  let bestRarity = Infinity;
  let looked = 0;
  const start = Math.floor(random() * wanted.length);
  for (let step = 0; step < wanted.length && looked < CHOICE_SAMPLE; step++) {
    const index = (start + step) % wanted.length;
    const piece = wanted[index] ?? 0;
    let rarity = 0;
    for (const { store } of parents) rarity += store.has[piece] ?? 0;
    if (rarity === 0) continue;
    looked += 1;
    if (rarity < bestRarity) [best, bestRarity] = [index, rarity];
  }
  return best;
}

/**
 * One of the parents, drawn in proportion to what each says it has left, shared among the pieces already asked of it. One
 * that lets pieces wait is left out as long as there is another.
 */
export function drawParent(parents: readonly Parent[], nowMs: number, random: Random): Parent | undefined {
  const weights = parents.map((parent) => {
    if (parent.isShunned(nowMs)) return 0;
    const max = parent.host.announcedBits;
    const isBusy = parent.host.place.up.isBusy(nowMs);
    return (max <= 0 ? UNKNOWN_BANDWIDTH_BITS : isBusy ? max * BUSY_SHARE : max) / (parent.inFlight + 1);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return parents[Math.floor(random() * parents.length)];
  let point = random() * total;
  for (const [index, weight] of weights.entries()) {
    point -= weight;
    if (point < 0) return parents[index];
  }
  return parents.at(-1);
}
