import { WriteTurns } from './write-turns.js';

describe('WriteTurns', () => {
  it('has one write under way, and takes next the one nearest to the beginning', async () => {
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
    const begun = [
      ['first', 7],
      ['far', 8],
      ['near', 1],
      ['near too', 1],
      ['between', 3],
    ] as const;
    await Promise.all(begun.map(([name, position]) => turns.take(position, () => write(name))));
    expect(log).toEqual(['first', 'near', 'near too', 'between', 'far']);
  });

  it('goes on after a failure, which only its own caller hears of', async () => {
    const turns = new WriteTurns();
    const failing = turns.take(0, () => Promise.reject(new Error('full')));
    const next = turns.take(0, () => Promise.resolve());
    await expect(failing).rejects.toThrow('full');
    await expect(next).resolves.toBeUndefined();
  });
});
