import { DfError } from '@dragonfly/errors';
import { ALL_PERMISSION_OBJECTS, CasbinRuleEntity, Database, ROOT_OBJECTS, UserEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import type { Enforcer } from 'casbin';
import type { EntityManager } from 'typeorm';
import { AccessCache } from '../auth/access-directory.js';
import { CasbinRuleAdapter } from '../auth/casbin-rule-adapter.js';
import { policyEnforcer } from '../auth/policies.js';
import { RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import { type CreateRoleRequest, type PermissionRequest, requireRoleName } from './role-requests.js';

/** Whoever has it may do everything; somebody must. */
const ROOT_ROLE = 'root';

/**
 * Roles and who has them. A role is a subject of policies: it is there as long as it has a permission. All changes go
 * through casbin inside one transaction, so that two managers cannot add the same rule twice unnoticed.
 */
@Injectable()
export class RolesService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessCache,
  ) {}

  /** Names of all roles. */
  async names(): Promise<string[]> {
    return this.read((enforcer) => enforcer.getAllSubjects());
  }

  /** Triples of role, object and action; none for a role that is not there. */
  async permissionsOf(role: string): Promise<string[][]> {
    return this.read((enforcer) => enforcer.getFilteredPolicy(0, role));
  }

  /** Every permission that there can be. */
  permissions(): { object: string; action: string }[] {
    return [...ALL_PERMISSION_OBJECTS, ...ROOT_OBJECTS].flatMap((object) => [
      { object, action: 'read' },
      { object, action: '*' },
    ]);
  }

  /** Permissions that the role has already are left as they are. */
  async create({ role, permissions }: CreateRoleRequest): Promise<void> {
    await this.change(async (enforcer) => {
      for (const { object, action } of permissions) {
        await enforcer.addPolicy(role, object, action);
      }
    });
  }

  /**
   * Deletes the role and takes it from everybody.
   * @throws DfError `not-found` without a body; `already-exists` with a text for the role root
   */
  async delete(role: string): Promise<void> {
    if (role === ROOT_ROLE) {
      throw refused('the role root cannot be deleted');
    }
    await this.change(async (enforcer) => {
      // Not casbin's deleteRole: it also takes the roles of an account whose number is the name.
      const wasGranted = await enforcer.removeFilteredGroupingPolicy(1, role);
      found((await enforcer.removeFilteredPolicy(0, role)) || wasGranted);
    });
  }

  /** @throws DfError `already-exists` without a body; `invalid-argument` for a role that is a number */
  async addPermission(role: string, { object, action }: PermissionRequest): Promise<void> {
    requireRoleName(role);
    await this.change(async (enforcer) => {
      isNew(await enforcer.addPolicy(role, object, action));
    });
  }

  /** @throws DfError `not-found` without a body; `already-exists` with a text for the role root */
  async removePermission(role: string, { object, action }: PermissionRequest): Promise<void> {
    if (role === ROOT_ROLE) {
      throw refused('the role root keeps its permissions');
    }
    await this.change(async (enforcer) => {
      found(await enforcer.removePolicy(role, object, action));
    });
  }

  /** @throws DfError `not-found` */
  async ofUser(userId: number): Promise<string[]> {
    await rowById(this.database.manager, UserEntity, userId);
    return (await this.access.get()).policies.roles(userId);
  }

  /** @throws DfError `not-found` (account, role), `already-exists` without a body */
  async grant(userId: number, role: string): Promise<void> {
    await this.change(async (enforcer, manager) => {
      await rowById(manager, UserEntity, userId);
      if ((await enforcer.getFilteredPolicy(0, role)).length === 0) {
        throw new DfError('not-found', RECORD_NOT_FOUND);
      }
      isNew(await enforcer.addRoleForUser(String(userId), role));
    });
  }

  /**
   * @param callerId who asks: nobody takes the role root from himself
   * @throws DfError `not-found` without a body; `already-exists` with a text for the last one with the role root
   */
  async revoke(userId: number, role: string, callerId: number): Promise<void> {
    if (role === ROOT_ROLE && userId === callerId) {
      throw refused('another administrator must take this role away');
    }
    await this.change(async (enforcer) => {
      const holders = await enforcer.getUsersForRole(role);
      if (role === ROOT_ROLE && holders.length === 1 && holders[0] === String(userId)) {
        throw refused('it is the last account with the role root');
      }
      found(await enforcer.deleteRoleForUser(String(userId), role));
    });
  }

  private read<T>(work: (enforcer: Enforcer) => Promise<T>): Promise<T> {
    return this.database.transaction(async (manager) => work(await policyEnforcer(new CasbinRuleAdapter(manager))));
  }

  private async change(work: (enforcer: Enforcer, manager: EntityManager) => Promise<void>): Promise<void> {
    await this.database.transaction(async (manager) => {
      // Locks the table's rows on MySQL: what casbin finds now is there until the commit.
      if (this.database.dialect === 'mysql') {
        await manager.find(CasbinRuleEntity, { select: { id: true }, lock: { mode: 'pessimistic_write' } });
      }
      await work(await policyEnforcer(new CasbinRuleAdapter(manager)), manager);
    });
    await this.access.invalidate();
  }
}

/** The API answers these two without a body. */
function found(isFound: boolean): void {
  if (!isFound) {
    throw new DfError('not-found', RECORD_NOT_FOUND, { details: { body: 'none' } });
  }
}

function isNew(isAdded: boolean): void {
  if (!isAdded) {
    throw new DfError('already-exists', 'is there already', { details: { body: 'none' } });
  }
}

function refused(text: string): DfError {
  return new DfError('already-exists', text, { details: { shown: text } });
}
