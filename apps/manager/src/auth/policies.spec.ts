import { aDatabase } from '../../test/sqlite-database.js';
import { freshAccess } from '../../test/fresh-access.js';
import { Policies } from './policies.js';

const rule = (
  ptype: string,
  v0: string,
  v1: string,
  v2 = '',
): { ptype: string; v0: string; v1: string; v2: string } => ({
  ptype,
  v0,
  v1,
  v2,
});

describe('policies', () => {
  const policies = Policies.of([
    rule('p', 'root', 'clusters', '*'),
    rule('p', 'guest', 'clusters', 'read'),
    rule('g', '1', 'root'),
    rule('g', '2', 'guest'),
    rule('g', '3', 'guest'),
    rule('g', '3', 'root'),
  ]);

  it.each([
    [1, 'clusters', '*', true],
    [1, 'clusters', 'read', true],
    [1, 'jobs', 'read', false],
    [2, 'clusters', 'read', true],
    [2, 'clusters', '*', false],
    [3, 'clusters', '*', true],
    [4, 'clusters', 'read', false],
  ] as const)('user %i, %s, %s: %s', async (user, object, action, expected) => {
    expect((await policies).allows(user, object, action)).toBe(expected);
  });

  it('come from the table: root may do everything, nobody else anything', async () => {
    const database = await aDatabase();
    const { policies: loaded } = await freshAccess(database).get();
    expect(loaded.roles(1)).toEqual(['root']);
    expect(loaded.allows(1, 'seed-peers', '*')).toBe(true);
    expect(loaded.allows(2, 'seed-peers', 'read')).toBe(false);
    await database.close();
  });
});
