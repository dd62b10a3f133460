import { DfError } from '@dragonfly/errors';
import { Database, ROOT_USER_NAME, updateRow, UserEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';
import { AccessCache, ENABLED, type AccountView } from './access-directory.js';
import { LoginThrottle } from './login-throttle.js';
import { hashPassword, verifyPassword } from './password.js';

/** Password of the first account of every fresh manager. */
export const INITIAL_ROOT_PASSWORD = 'dragonfly';

export interface SignedIn {
  user: UserEntity;
  /** The account still has the password that everybody knows. */
  hasInitialPassword: boolean;
}

/** Accounts as far as signing in needs them. */
@Injectable()
export class AccountsService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessCache,
    private readonly throttle: LoginThrottle,
    private readonly clock: Clock,
  ) {}

  /**
   * @param address IP of the client
   * @throws DfError `unauthenticated`, the same for every cause; `resource-exhausted` after too many failures
   */
  async signIn(name: string, password: string, address: string): Promise<SignedIn> {
    await this.throttle.check(name, address);
    const user = await this.database.manager.findOneBy(UserEntity, { name, isDel: 0 });
    const fits = await verifyPassword(password, user?.encryptedPassword);
    if (!user || !fits || user.state !== ENABLED) {
      await this.throttle.failed(name, address);
      throw new DfError('unauthenticated', 'name or password is wrong');
    }
    await this.enabledAccount(user.id);
    await this.throttle.succeeded(name, address);
    return { user, hasInitialPassword: user.name === ROOT_USER_NAME && password === INITIAL_ROOT_PASSWORD };
  }

  /**
   * The account behind a session.
   * @throws DfError `unauthenticated` when it is gone or disabled
   */
  async enabledAccount(id: number): Promise<AccountView> {
    const account = await (await this.access.get()).account(id);
    if (!account?.isEnabled) {
      throw new DfError('unauthenticated', 'account is gone or disabled');
    }
    return account;
  }

  /** @throws DfError `not-found`; `unauthenticated` when the old password is wrong; `resource-exhausted` */
  async resetPassword(id: number, oldPassword: string, newPassword: string, address: string): Promise<void> {
    const user = await this.database.manager.findOneBy(UserEntity, { id, isDel: 0 });
    if (!user) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    await this.throttle.check(user.name, address);
    if (!(await verifyPassword(oldPassword, user.encryptedPassword))) {
      await this.throttle.failed(user.name, address);
      throw new DfError('unauthenticated', 'old password is wrong');
    }
    const encryptedPassword = await hashPassword(newPassword);
    const now = this.clock.now();
    await this.database.transaction((manager) => updateRow(manager, UserEntity, now, id, { encryptedPassword }));
    await this.throttle.succeeded(user.name, address);
  }
}
