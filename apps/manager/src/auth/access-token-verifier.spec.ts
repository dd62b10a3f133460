import {
  accessTokenHash,
  type Database,
  insertRow,
  PersonalAccessTokenEntity,
  TokenLimitEntity,
} from '@dragonfly/persistence';
import { aDatabase } from '../../test/sqlite-database.js';
import { AccessTokenVerifier } from './access-token-verifier.js';

const NOW = new Date('2026-01-01T00:00:00Z');

describe('personal access tokens', () => {
  let database: Database;
  let tokens: AccessTokenVerifier;

  beforeEach(async () => {
    database = await aDatabase();
    tokens = new AccessTokenVerifier(database, { now: () => NOW });
  });
  afterEach(() => database.close());

  const insert = (over: Partial<PersonalAccessTokenEntity> = {}): Promise<number> =>
    database.transaction((manager) =>
      insertRow(manager, PersonalAccessTokenEntity, NOW, {
        name: 'automation',
        token: accessTokenHash('Token-1'),
        scopes: ['job', 'cluster'],
        state: 'active',
        expiredAt: new Date('2026-01-02T00:00:00Z'),
        ...over,
      }),
    );
  const stored = async (id: number): Promise<string> =>
    (await database.manager.findOneByOrFail(PersonalAccessTokenEntity, { id })).token;

  it.each([
    ['a good one', {}, 'cluster', undefined],
    ['one with an empty list of scopes', { scopes: [] }, 'job', undefined],
    ['an inactive one', { state: 'inactive' }, 'job', 'Token is inactive'],
    ['one that is over', { expiredAt: NOW }, 'job', 'Token has expired'],
    [
      'one without the scope',
      { scopes: ['cluster'] },
      'job',
      "Token doesn't have permission to access this resource. Required permission: job",
    ],
  ])('%s', async (_name, over, scope, refusal) => {
    await insert(over);
    const check = tokens.verify('Token-1', scope);
    if (refusal === undefined) {
      await expect(check).resolves.toMatchObject({ row: { name: 'automation' }, limits: {} });
    } else {
      await expect(check).rejects.toMatchObject({ code: 'permission-denied', message: refusal });
    }
    await expect(tokens.verify('token-1', scope)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('takes a row that an original manager wrote in clear, once, and hashes it', async () => {
    const id = await insert({ token: 'Clear-1' });
    await expect(tokens.verify('clear-1', 'job')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(tokens.verify('Clear-1', 'job')).resolves.toMatchObject({ row: { id } });
    await expect(stored(id)).resolves.toBe(accessTokenHash('Clear-1'));
    await expect(tokens.verify('Clear-1', 'job')).resolves.toMatchObject({ row: { id } });
  });

  it('hashes every clear token of a database that is taken over', async () => {
    const ids = [];
    for (let n = 0; n < 3; n += 1) {
      ids.push(await insert({ name: `n-${n}`, token: `Clear-${n}` }));
    }
    await expect(tokens.hashClearTokens()).resolves.toBe(3);
    await expect(tokens.hashClearTokens()).resolves.toBe(0);
    await expect(tokens.verify('Clear-2', 'job')).resolves.toMatchObject({ row: { id: ids[2] } });
  });

  it('does not take the hash for the token', async () => {
    await insert();
    await expect(tokens.verify(accessTokenHash('Token-1'), 'job')).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('knows the limits of a token', async () => {
    const tokenId = await insert();
    await database.transaction((manager) =>
      manager.insert(TokenLimitEntity, { tokenId, limits: { scheduler_cluster_ids: [1] } as never }),
    );
    await expect(tokens.verify('Token-1', 'job')).resolves.toMatchObject({ limits: { clusterIds: [1] } });
  });
});
