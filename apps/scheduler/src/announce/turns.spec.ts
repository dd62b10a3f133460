import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turns } from './turns.js';

/** Keeps the processor busy, as the handling of a message does. */
function work(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

describe('turns', () => {
  it('a job runs where it is handed in when there is no burst', () => {
    const turns = new Turns();
    let hasRun = false;
    turns.run(() => {
      hasRun = true;
    });
    expect(hasRun).toBe(true);
    expect(turns.waitingCount).toBe(0);
  });

  it('a burst is spread over turns, in order, and others get through in between', async () => {
    const turns = new Turns();
    const done: number[] = [];
    for (let i = 0; i < 100; i++) {
      turns.run(() => {
        work(1);
        done.push(i);
      });
    }
    const atOnce = done.length;
    expect(atOnce).toBeLessThan(50);
    let turnsTaken = 0;
    while (done.length < 100) {
      const before = done.length;
      await nextTurn();
      turnsTaken += 1;
      expect(done.length - before).toBeLessThan(50);
    }
    expect(turnsTaken).toBeGreaterThan(2);
    expect(done).toEqual(Array.from({ length: 100 }, (_, i) => i));
    await nextTurn();
    expect(turns.waitingCount).toBe(0);
  });

  it('a job that hands in another one is ended first', async () => {
    const turns = new Turns();
    const steps: string[] = [];
    turns.run(() => {
      steps.push('outer begins');
      turns.run(() => steps.push('inner'));
      steps.push('outer ends');
    });
    while (turns.waitingCount > 0) await nextTurn();
    expect(steps).toEqual(['outer begins', 'outer ends', 'inner']);
  });

  it('whoever hands in a job is told whether it has to wait', () => {
    const turns = new Turns();
    expect(turns.run(() => work(10))).toBe(true);
    expect(turns.run(() => undefined)).toBe(false);
  });

  it('no turn does a large part of a very large burst', async () => {
    const turns = new Turns();
    const burst = 70_000;
    let count = 0;
    for (let i = 0; i < burst; i++) {
      turns.run(() => {
        // About 5 µs of work, whatever else the machine does.
        for (let step = 0; step < 2000; step++) count += step % 2;
      });
    }
    let largest = 0;
    while (turns.waitingCount > 0) {
      const before = turns.waitingCount;
      await nextTurn();
      largest = Math.max(largest, before - turns.waitingCount);
    }
    expect(count).toBe(burst * 1000);
    expect(largest).toBeLessThan(burst / 5);
  });
});
