import { type Database, insertRow, PersonalAccessTokenEntity, updateRow, UserEntity } from '@dragonfly/persistence';
import { aDatabase } from '../../test/sqlite-database.js';
import { AccountsService } from './accounts.service.js';

const NOW = new Date('2026-01-01T00:00:00Z');

describe('accounts', () => {
  let database: Database;
  let accounts: AccountsService;

  beforeEach(async () => {
    database = await aDatabase();
    accounts = new AccountsService(database, { now: () => NOW });
  });
  afterEach(() => database.close());

  it('signs root in with the hash that the original writes, and says that the password is the initial one', async () => {
    await expect(accounts.signIn('root', 'dragonfly')).resolves.toMatchObject({
      user: { id: 1 },
      hasInitialPassword: true,
    });
  });

  it('refuses wrong names, wrong passwords and disabled accounts alike', async () => {
    await expect(accounts.signIn('root', 'dragonfly2')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(accounts.signIn('nobody', 'dragonfly')).rejects.toMatchObject({ code: 'unauthenticated' });
    await database.transaction((manager) => updateRow(manager, UserEntity, NOW, 1, { state: 'disable' }));
    await expect(accounts.signIn('root', 'dragonfly')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(accounts.activeUser(1)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('changes a password for who knows the old one', async () => {
    await expect(accounts.resetPassword(1, 'wrong-one', 'new-secret')).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    await expect(accounts.resetPassword(9, 'dragonfly', 'new-secret')).rejects.toMatchObject({ code: 'not-found' });
    await accounts.resetPassword(1, 'dragonfly', 'new-secret');
    await expect(accounts.signIn('root', 'dragonfly')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(accounts.signIn('root', 'new-secret')).resolves.toMatchObject({ hasInitialPassword: false });
    const { encryptedPassword } = await database.manager.findOneByOrFail(UserEntity, { id: 1 });
    expect(encryptedPassword).toMatch(/^\$2a\$10\$/);
  });

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
  ])('personal access tokens: %s', async (_name, over, scope, refusal) => {
    await database.transaction((manager) =>
      insertRow(manager, PersonalAccessTokenEntity, NOW, {
        name: 'automation',
        token: 'Token-1',
        scopes: ['job', 'cluster'],
        state: 'active',
        expiredAt: new Date('2026-01-02T00:00:00Z'),
        ...over,
      }),
    );
    const check = accounts.checkAccessToken('Token-1', scope);
    if (refusal === undefined) {
      await expect(check).resolves.toMatchObject({ name: 'automation' });
    } else {
      await expect(check).rejects.toMatchObject({ code: 'permission-denied', message: refusal });
    }
    await expect(accounts.checkAccessToken('token-1', scope)).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
