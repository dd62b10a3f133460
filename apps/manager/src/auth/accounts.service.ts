import { DfError } from '@dragonfly/errors';
import { Database, PersonalAccessTokenEntity, ROOT_USER_NAME, updateRow, UserEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock.js';
import { hashPassword, verifyPassword } from './password.js';

/** Password of the first account of every fresh manager. */
export const INITIAL_ROOT_PASSWORD = 'dragonfly';
const ENABLED = 'enable';

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
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `unauthenticated`, the same for every cause */
  async signIn(name: string, password: string): Promise<SignedIn> {
    const user = await this.database.manager.findOneBy(UserEntity, { name, isDel: 0 });
    const fits = await verifyPassword(password, user?.encryptedPassword);
    if (!user || !fits || user.state !== ENABLED) {
      throw new DfError('unauthenticated', 'name or password is wrong');
    }
    return { user, hasInitialPassword: user.name === ROOT_USER_NAME && password === INITIAL_ROOT_PASSWORD };
  }

  /**
   * The account behind a session.
   * @throws DfError `unauthenticated` when it is gone or disabled
   */
  async activeUser(id: number): Promise<UserEntity> {
    const user = await this.database.manager.findOneBy(UserEntity, { id, isDel: 0 });
    if (user?.state !== ENABLED) {
      throw new DfError('unauthenticated', 'account is gone or disabled');
    }
    return user;
  }

  /** @throws DfError `not-found`; `unauthenticated` when the old password is wrong */
  async resetPassword(id: number, oldPassword: string, newPassword: string): Promise<void> {
    const user = await this.database.manager.findOneBy(UserEntity, { id, isDel: 0 });
    if (!user) {
      throw new DfError('not-found', 'record not found');
    }
    if (!(await verifyPassword(oldPassword, user.encryptedPassword))) {
      throw new DfError('unauthenticated', 'old password is wrong');
    }
    const encryptedPassword = await hashPassword(newPassword);
    const now = this.clock.now();
    await this.database.transaction((manager) => updateRow(manager, UserEntity, now, id, { encryptedPassword }));
  }

  /**
   * Checks a personal access token for one scope (`job`, `cluster`).
   * @throws DfError `unauthenticated` for an unknown token, `permission-denied` for one that is inactive, over or lacks
   * the scope; an empty list of scopes grants all, as in rows of older managers
   */
  async checkAccessToken(token: string, scope: string): Promise<PersonalAccessTokenEntity> {
    const row = await this.database.manager.findOneBy(PersonalAccessTokenEntity, { token, isDel: 0 });
    // The engine may compare without regard to case.
    if (row?.token !== token) {
      throw new DfError('unauthenticated', 'personal access token is unknown');
    }
    if (row.state !== 'active') {
      throw new DfError('permission-denied', 'Token is inactive');
    }
    if (row.expiredAt <= this.clock.now()) {
      throw new DfError('permission-denied', 'Token has expired');
    }
    if (row.scopes.length > 0 && !row.scopes.includes(scope)) {
      throw new DfError(
        'permission-denied',
        `Token doesn't have permission to access this resource. Required permission: ${scope}`,
      );
    }
    return row;
  }
}
