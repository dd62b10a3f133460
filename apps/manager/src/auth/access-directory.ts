import { CasbinRuleEntity, type Database, TenantEntity, TenantMemberEntity, UserEntity } from '@dragonfly/persistence';
import { Policies } from './policies.js';
import { TenantScope } from './tenant-scope.js';

/** State of accounts and tenants that may sign in. */
export const ENABLED = 'enable';
export const DISABLED = 'disable';
/** Accounts that are remembered between two changes. */
const MAX_ACCOUNTS = 10_000;

/** What a request needs to know about its account. */
export interface AccountView {
  readonly id: number;
  readonly name: string;
  /** The account and its tenant may be used. */
  readonly isEnabled: boolean;
}

/**
 * Accounts, policies and tenants at one moment: what every request asks about its caller, without a question to the
 * database. Accounts are read when they are first asked for.
 */
export class AccessDirectory {
  private readonly accounts = new Map<number, Promise<AccountView | undefined>>();
  private readonly scopes = new Map<number, TenantScope>();
  private readonly tenantOf: ReadonlyMap<number, TenantEntity>;

  private constructor(
    private readonly database: Database,
    readonly policies: Policies,
    private readonly tenants: ReadonlyMap<number, TenantEntity>,
    private readonly members: readonly TenantMemberEntity[],
  ) {
    this.tenantOf = new Map(
      members.flatMap((member) => {
        const tenant = tenants.get(member.tenantId);
        return tenant ? [[member.userId, tenant]] : [];
      }),
    );
  }

  /** In a transaction: on SQLite a read outside could show rows that are taken back again. */
  static load(database: Database): Promise<AccessDirectory> {
    return database.transaction(async (manager) => {
      const rules = await manager.find(CasbinRuleEntity, { order: { id: 'ASC' } });
      const tenants = await manager.find(TenantEntity, { where: { isDel: 0 }, order: { id: 'ASC' } });
      const members = await manager.find(TenantMemberEntity, { order: { userId: 'ASC' } });
      const byId = new Map(tenants.map((tenant) => [tenant.id, tenant]));
      return new AccessDirectory(database, await Policies.of(rules), byId, members);
    });
  }

  /** Whether there is any tenant: accounts that nobody has assigned to one must then not see everything. */
  get hasTenants(): boolean {
    return this.tenants.size > 0;
  }

  /** @returns undefined when there is no such account */
  account(id: number): Promise<AccountView | undefined> {
    const known = this.accounts.get(id);
    if (known) {
      return known;
    }
    if (this.accounts.size >= MAX_ACCOUNTS) {
      this.accounts.clear();
    }
    const account = this.readAccount(id);
    this.accounts.set(id, account);
    account.catch(() => this.accounts.delete(id));
    return account;
  }

  /** What the account may see and touch. */
  scopeOf(userId: number): TenantScope {
    const tenant = this.tenantOf.get(userId);
    return tenant ? this.tenantScope(tenant) : TenantScope.UNLIMITED;
  }

  private tenantScope(tenant: TenantEntity): TenantScope {
    let scope = this.scopes.get(tenant.id);
    if (!scope) {
      scope = new TenantScope({
        tenant: { id: tenant.id, name: tenant.name, limits: tenant.limits },
        clusterIds: tenant.schedulerClusterIds,
        applications: tenant.applications,
        userIds: this.members.filter((member) => member.tenantId === tenant.id).map((member) => member.userId),
      });
      this.scopes.set(tenant.id, scope);
    }
    return scope;
  }

  private async readAccount(id: number): Promise<AccountView | undefined> {
    const user = await this.database.transaction((manager) => manager.findOneBy(UserEntity, { id, isDel: 0 }));
    if (!user) {
      return undefined;
    }
    const tenant = this.tenantOf.get(id);
    const isEnabled = user.state === ENABLED && (tenant === undefined || tenant.state === ENABLED);
    return { id, name: user.name, isEnabled };
  }
}

/** The directory as it is now. */
export abstract class AccessCache {
  abstract get(): Promise<AccessDirectory>;
  /** To be called after each committed change of accounts, policies or tenants. */
  abstract invalidate(): Promise<void>;
}
