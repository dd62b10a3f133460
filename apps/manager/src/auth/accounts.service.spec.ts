import { createMemoryKv, type Kv } from '@dragonfly/kv';
import { type Database, updateRow, UserEntity } from '@dragonfly/persistence';
import { aDatabase } from '../../test/sqlite-database.js';
import { freshAccess } from '../../test/fresh-access.js';
import { AccountsService } from './accounts.service.js';
import { LoginThrottle } from './login-throttle.js';

const A = '10.0.0.9';
const NOW = new Date('2026-01-01T00:00:00Z');

describe('accounts', () => {
  let database: Database;
  let accounts: AccountsService;
  let kv: Kv;
  let kvNow: number;

  beforeEach(async () => {
    database = await aDatabase();
    kvNow = 0;
    kv = createMemoryKv({ now: () => kvNow });
    accounts = new AccountsService(database, freshAccess(database), new LoginThrottle(kv.store), { now: () => NOW });
  });
  afterEach(async () => {
    await kv.close();
    await database.close();
  });

  it('signs root in with the hash that the original writes, and says that the password is the initial one', async () => {
    await expect(accounts.signIn('root', 'dragonfly', A)).resolves.toMatchObject({
      user: { id: 1 },
      hasInitialPassword: true,
    });
  });

  it('refuses wrong names, wrong passwords and disabled accounts alike', async () => {
    await expect(accounts.signIn('root', 'dragonfly2', A)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(accounts.signIn('nobody', 'dragonfly', A)).rejects.toMatchObject({ code: 'unauthenticated' });
    await database.transaction((manager) => updateRow(manager, UserEntity, NOW, 1, { state: 'disable' }));
    await expect(accounts.signIn('root', 'dragonfly', A)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(accounts.enabledAccount(1)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('changes a password for who knows the old one', async () => {
    await expect(accounts.resetPassword(1, 'wrong-one', 'new-secret', A)).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    await expect(accounts.resetPassword(9, 'dragonfly', 'new-secret', A)).rejects.toMatchObject({ code: 'not-found' });
    await accounts.resetPassword(1, 'dragonfly', 'new-secret', A);
    await expect(accounts.signIn('root', 'dragonfly', A)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(accounts.signIn('root', 'new-secret', A)).resolves.toMatchObject({ hasInitialPassword: false });
    const { encryptedPassword } = await database.manager.findOneByOrFail(UserEntity, { id: 1 });
    expect(encryptedPassword).toMatch(/^\$2a\$10\$/);
  });

  it('refuses further tries after too many failures, of one address only, and says how long', async () => {
    for (let n = 0; n < 10; n += 1) {
      await expect(accounts.signIn('root', 'wrong-one', '10.0.0.1')).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    await expect(accounts.signIn('root', 'dragonfly', '10.0.0.1')).rejects.toMatchObject({
      code: 'resource-exhausted',
      details: { retryAfterS: 900 },
    });
    await expect(accounts.resetPassword(1, 'dragonfly', 'new-secret', '10.0.0.1')).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    await expect(accounts.signIn('root', 'dragonfly', '10.0.0.2')).resolves.toMatchObject({ user: { id: 1 } });
    kvNow += 15 * 60_000 + 1;
    await expect(accounts.signIn('root', 'dragonfly', '10.0.0.1')).resolves.toMatchObject({ user: { id: 1 } });
  });

  it('forgets the own mistakes of who gets in', async () => {
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 9; n += 1) {
        await expect(accounts.signIn('root', 'wrong-one', A)).rejects.toMatchObject({ code: 'unauthenticated' });
      }
      await accounts.signIn('root', 'dragonfly', A);
    }
  }, 20_000);

  it('holds nobody up while the key-value store is away', async () => {
    await kv.close();
    await expect(accounts.signIn('root', 'dragonfly', A)).resolves.toMatchObject({ user: { id: 1 } });
  });
});
