import { ConfigEntity, Database, insertRow, type DatabaseOptions } from '../src/index.js';
import { engines, stopEngines } from './databases.js';

afterAll(stopEngines);

const NOW = new Date('2026-01-01T00:00:00.000Z');

describe.each(engines)('work that one process does at a time, on $name', ({ fresh }) => {
  let options: DatabaseOptions;
  let one: Database;
  let other: Database;

  beforeEach(async () => {
    options = await fresh();
    one = await Database.open(options);
    await one.migrate();
    other = await Database.open(options);
  });

  afterEach(async () => {
    await one.close();
    await other.close();
  });

  /** Deep in the calls of the work, where nobody knows of turns. */
  const write = (database: Database, name: string): Promise<number> =>
    database.transaction((manager) => insertRow(manager, ConfigEntity, NOW, { name, value: '', userId: 1 }));

  const names = async (): Promise<string[]> =>
    (await one.manager.find(ConfigEntity, { order: { id: 'ASC' } })).map(({ name }) => name);

  it('writes nothing any more from the moment another one has begun a turn', async () => {
    await one.inTurn('sweep', async (turn) => {
      await write(one, 'before');
      await other.inTurn('sweep', async (later) => {
        expect(later.token).toBe(turn.token + 1);
        await write(other, 'of the other');
      });
      expect(turn.overtaken.aborted).toBe(false);
      await expect(write(one, 'too late')).rejects.toMatchObject({
        code: 'failed-precondition',
        message: 'another process has taken over sweep',
      });
      expect(turn.overtaken.aborted).toBe(true);
      // Also with a turn of the other that is long over, and in whatever it calls.
      await expect(Promise.resolve().then(() => write(one, 'too late'))).rejects.toThrow('taken over');
    });
    expect(await names()).toEqual(['before', 'of the other']);
  });

  it('concerns neither works of other names nor those who are in no turn', async () => {
    await one.inTurn('sweep', async () => {
      await other.inTurn('metering', () => write(other, 'metering'));
      await write(one, 'sweep');
      await write(other, 'nobody');
    });
    await write(one, 'afterwards');
    expect(await names()).toEqual(['metering', 'sweep', 'nobody', 'afterwards']);
  });

  it('takes back a transaction whose turn is over, with all that it wrote', async () => {
    await one.inTurn('sweep', async () => {
      await other.inTurn('sweep', async () => undefined);
      const both = one.transaction(async (manager) => {
        await insertRow(manager, ConfigEntity, NOW, { name: 'a', value: '', userId: 1 });
        await insertRow(manager, ConfigEntity, NOW, { name: 'b', value: '', userId: 1 });
      });
      await expect(both).rejects.toThrow('taken over');
    });
    expect(await names()).toEqual([]);
  });

  it('counts turns that begin at the same time, each for itself', async () => {
    const tokens = await Promise.all(
      [one, other, one, other].map((database) => database.inTurn('new', async ({ token }) => token)),
    );
    expect([...tokens].sort()).toEqual([1, 2, 3, 4]);
  });
});
