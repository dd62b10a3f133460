import { DfError } from '@dragonfly/errors';
import { Database, insertRow, updateRow, UserEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { AccessCache, ENABLED } from '../auth/access-directory.js';
import type { Caller } from '../auth/caller.js';
import { CasbinRuleAdapter } from '../auth/casbin-rule-adapter.js';
import { hashPassword } from '../auth/password.js';
import { policyEnforcer } from '../auth/policies.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { pageOfRows, rowById } from '../rest/resource-rows.js';
import { userBody, type UserBody } from './user-bodies.js';
import type { GetUsersQuery, SignUpRequest, UpdateUserRequest } from './user-requests.js';

/** The role of people who make an account for themselves. */
export const GUEST_ROLE = 'guest';

/** What is known about a person who signs in through a provider for the first time. */
export type NewAccount = Omit<SignUpRequest, 'password'> & { encryptedPassword: string | null };

/** Accounts as the REST API shows and edits them. */
@Injectable()
export class UsersService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessCache,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `already-exists` (name, mail address) */
  async signUp({ password, ...account }: SignUpRequest): Promise<UserBody> {
    return userBody(await this.create({ ...account, encryptedPassword: await hashPassword(password) }));
  }

  /**
   * Makes an account. It gets the role guest, unless there are tenants: guests read everything, so whoever belongs to no
   * tenant then gets a role from an administrator only.
   * @param also more rows of the same transaction
   * @throws DfError `already-exists`
   */
  async create(
    account: NewAccount,
    also?: (manager: Parameters<Parameters<Database['transaction']>[0]>[0], userId: number) => Promise<void>,
  ): Promise<UserEntity> {
    const now = this.clock.now();
    const { hasTenants } = await this.access.get();
    const user = await this.database.transaction(async (manager) => {
      const id = await insertRow(manager, UserEntity, now, {
        name: account.name,
        email: account.email,
        encryptedPassword: account.encryptedPassword,
        phone: account.phone ?? '',
        avatar: account.avatar ?? '',
        location: account.location ?? '',
        bio: account.bio ?? '',
        privateToken: '',
        state: ENABLED,
      });
      if (!hasTenants) {
        const enforcer = await policyEnforcer(new CasbinRuleAdapter(manager));
        await enforcer.addRoleForUser(String(id), GUEST_ROLE);
      }
      await also?.(manager, id);
      return rowById(manager, UserEntity, id);
    });
    await this.access.invalidate();
    return user;
  }

  async get(id: number): Promise<UserBody> {
    return userBody(await rowById(this.database.manager, UserEntity, id));
  }

  async list(query: GetUsersQuery, scope: TenantScope): Promise<{ bodies: UserBody[]; total: number }> {
    const { rows, total } = await pageOfRows(
      this.database.manager,
      UserEntity,
      { name: query.name, email: query.email, location: query.location, state: query.state },
      pageOf(query),
      { id: scope.userIds },
    );
    return { bodies: rows.map((row) => userBody(row)), total };
  }

  /**
   * Parts that are left out stay as they are. The state is for those who may change every account, and nobody can lock
   * himself out.
   * @throws DfError `not-found`, `already-exists` (mail address), `permission-denied` (state)
   */
  async update(id: number, request: UpdateUserRequest, caller: Caller): Promise<UserBody> {
    if (request.state && (caller.userId === id || !caller.may('users', '*'))) {
      throw new DfError('permission-denied', 'the state of an account is changed by another administrator');
    }
    const now = this.clock.now();
    const row = await this.database.transaction(async (manager) => {
      await rowById(manager, UserEntity, id);
      await updateRow(manager, UserEntity, now, id, {
        email: request.email || undefined,
        phone: request.phone,
        avatar: request.avatar,
        location: request.location,
        bio: request.bio,
        state: request.state || undefined,
      });
      return rowById(manager, UserEntity, id);
    });
    await this.access.invalidate();
    return userBody(row);
  }
}
