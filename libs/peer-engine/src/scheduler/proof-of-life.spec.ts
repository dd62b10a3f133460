import { isAlive } from './proof-of-life.js';

const DEADLINE_MS = 20;
const signal = new AbortController().signal;

/** Keeps the event loop busy, as a burst of requests does. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('isAlive', () => {
  it('believes an answer', async () => {
    await expect(isAlive({ heardAtMs: -Infinity }, async () => true, DEADLINE_MS, signal)).resolves.toBe(true);
  });

  it('takes a scheduler that says nothing any more for dead at the first look', async () => {
    let looks = 0;
    const look = async (): Promise<boolean> => {
      looks += 1;
      return false;
    };
    await expect(isAlive({ heardAtMs: performance.now() - 1 }, look, DEADLINE_MS, signal)).resolves.toBe(false);
    expect(looks).toBe(1);
  });

  it('does not mind the silence of a scheduler that answers others', async () => {
    const scheduler = { heardAtMs: -Infinity };
    const look = async (): Promise<boolean> => {
      scheduler.heardAtMs = performance.now();
      return false;
    };
    await expect(isAlive(scheduler, look, DEADLINE_MS, signal)).resolves.toBe(true);
  });

  it('looks again when this process was too busy to hear', async () => {
    let looks = 0;
    const look = async (): Promise<boolean> => {
      looks += 1;
      if (looks === 1) block(DEADLINE_MS + 250);
      return looks > 1;
    };
    await expect(isAlive({ heardAtMs: -Infinity }, look, DEADLINE_MS, signal)).resolves.toBe(true);
    expect(looks).toBe(2);
  });
});
