import { Link, Transfer } from '../network/link.js';
import { EventQueue, START_MS } from '../time/event-queue.js';
import { Parent } from './parent.js';
import { drawParent } from './piece-choice.js';
import { SimulatedHost } from './simulated-host.js';

const PIECE_BYTES = 1000;
const PIECE_MS = 1000;
const PATIENCE_MS = 2000;
const everywhere = () => true;
const nowhere = () => false;

let queue: EventQueue;
let card: Link;
beforeEach(() => {
  queue = new EventQueue();
  card = new Link('card', PIECE_BYTES / PIECE_MS);
});

function aParent(patienceMs = PATIENCE_MS): Parent {
  const place = { idc: { name: 'a', out: card, in: card }, rack: undefined, up: card, down: card };
  const kind = { uploadMbit: 1, downloadMbit: 1, damagedPieces: 0 };
  const host = new SimulatedHost('id', '10.0.0.1', 'name', false, place, kind);
  return new Parent('peer', host, host.storeOf(0, 100), patienceMs);
}

/** Asks the parent for a piece, behind what its card has to send already. */
function ask(parent: Parent, piece: number): void {
  const transfer = Transfer.start(queue, [card], PIECE_BYTES, 0, () => parent.arrived(piece, queue.nowMs));
  parent.ask(piece, transfer, queue.nowMs);
}

function until(ms: number): void {
  queue.after(START_MS + ms - queue.nowMs, () => undefined);
  while (queue.nowMs < START_MS + ms && queue.step());
}

/** What others have asked of the card before. */
function othersWait(pieces: number): void {
  for (let piece = 0; piece < pieces; piece++) Transfer.start(queue, [card], PIECE_BYTES, 0, () => undefined);
}

describe('a simulated parent', () => {
  it('loses the pieces that others have when it has sent nothing for too long, and keeps the rest', () => {
    const parent = aParent();
    othersWait(10);
    for (const piece of [1, 2, 3]) ask(parent, piece);
    until(PATIENCE_MS);
    expect(parent.takeStarved(queue.nowMs, everywhere)).toEqual([]);
    until(PATIENCE_MS + 1);
    expect(parent.takeStarved(queue.nowMs, nowhere)).toEqual([]);
    expect(parent.takeStarved(queue.nowMs, (piece) => piece !== 2)).toEqual([1, 3]);
    expect(parent.inFlight).toBe(1);
  });

  it('keeps all as long as it sends one of them, however slowly', () => {
    card = new Link('card', PIECE_BYTES / (10 * PIECE_MS));
    const parent = aParent();
    for (const piece of [1, 2]) ask(parent, piece);
    for (let ms = 500; ms < 19_000; ms += 500) {
      until(ms);
      expect(parent.takeStarved(queue.nowMs, everywhere)).toEqual([]);
    }
  });

  it('is not asked while there is another, until it sends again', () => {
    const [parent, other] = [aParent(), aParent()];
    othersWait(4);
    for (const piece of [1, 2]) ask(parent, piece);
    until(PATIENCE_MS + 1);
    parent.takeStarved(queue.nowMs, (piece) => piece === 1);
    const drawn = (): Set<Parent | undefined> =>
      new Set([0, 0.3, 0.6, 0.9].map((point) => drawParent([parent, other], queue.nowMs, () => point)));
    expect(drawn()).toEqual(new Set([other]));
    expect(drawParent([parent], queue.nowMs, () => 0)).toBe(parent);
    until(5500);
    expect(drawn()).toEqual(new Set([parent, other]));
  });

  it('is waited for without end where the daemon is set so', () => {
    const parent = aParent(Infinity);
    othersWait(100);
    ask(parent, 1);
    until(90_000);
    expect(parent.takeStarved(queue.nowMs, everywhere)).toEqual([]);
  });
});
