import type { Peer } from './task.js';
import type { TaskTurn } from './task-turn.js';
import { aPeer, aTask, FakeClock } from './testing/index.js';
import { WaitingLines } from './waiting-lines.js';

const VISITS_PER_TURN = 32;

describe('WaitingLines', () => {
  function aLine(count: number): {
    readonly clock: FakeClock;
    readonly lines: WaitingLines;
    readonly turn: TaskTurn;
    readonly peers: readonly Peer[];
  } {
    const clock = new FakeClock();
    const lines = new WaitingLines({
      clock,
      sourceLimits: { stallTimeoutMs: 60_000, waitTimeoutMs: 25_000, unusableHolderWaitMs: 2000, backToSourceCount: 1 },
      onDeadline: () => undefined,
    });
    const task = aTask();
    const turn = lines.turnOf(task);
    const peers = Array.from({ length: count }, () => aPeer({ task }));
    for (const peer of peers) {
      lines.enter(turn, peer, { sinceMs: clock.nowMs(), answer: () => undefined });
    }
    return { clock, lines, turn, peers };
  }

  it('visits a long line in several turns of the event loop', () => {
    const { clock, lines, turn, peers } = aLine(2 * VISITS_PER_TURN + 1);
    const visited: Peer[] = [];
    lines.visitAll(turn, (peer) => visited.push(peer));
    expect(visited).toHaveLength(VISITS_PER_TURN);
    clock.advance(1);
    expect(visited).toEqual(peers);
  });

  it('visits those again who were visited before the news of a running round', () => {
    const { clock, lines, turn, peers } = aLine(VISITS_PER_TURN + 1);
    const visits = new Map<Peer, number>();
    const visit = (peer: Peer): void => void visits.set(peer, (visits.get(peer) ?? 0) + 1);
    lines.visitAll(turn, visit);
    lines.visitAll(turn, visit);
    lines.visitAll(turn, visit);
    clock.advance(10);
    expect(peers.map((peer) => visits.get(peer))).toEqual(peers.map(() => 2));
  });

  it('does not visit anybody after it was closed', () => {
    const { clock, lines, turn } = aLine(VISITS_PER_TURN + 1);
    let visits = 0;
    const visit = (): void => void (visits += 1);
    lines.visitAll(turn, visit);
    lines.close();
    lines.visitAll(turn, visit);
    clock.advance(10);
    expect(visits).toBeLessThanOrEqual(VISITS_PER_TURN + 1);
  });
});
