import { WriteTurns } from './write-turns.js';

describe('WriteTurns', () => {
  it('has one write under way, in the order of asking', async () => {
    const turns = new WriteTurns();
    const log: string[] = [];
    let running = 0;
    const write = async (name: string): Promise<void> => {
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(name);
      running -= 1;
    };
    await Promise.all(['a', 'b', 'c'].map((name) => turns.take(() => write(name))));
    expect(log).toEqual(['a', 'b', 'c']);
  });

  it('goes on after a failure, which only its own caller hears of', async () => {
    const turns = new WriteTurns();
    const failing = turns.take(() => Promise.reject(new Error('full')));
    const next = turns.take(() => Promise.resolve());
    await expect(failing).rejects.toThrow('full');
    await expect(next).resolves.toBeUndefined();
  });
});
