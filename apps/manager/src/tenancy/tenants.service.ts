import { DfError } from '@dragonfly/errors';
import {
  CasbinRuleEntity,
  Database,
  insertRow,
  PersonalAccessTokenEntity,
  SchedulerClusterEntity,
  TenantEntity,
  TenantMemberEntity,
  updateRow,
  UserEntity,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { AccessCache, ENABLED } from '../auth/access-directory.js';
import type { TenantLimits, TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { pageOfRows, RECORD_NOT_FOUND, rowById, stored } from '../rest/resource-rows.js';
import { tenantBody, type TenantBody } from './tenant-bodies.js';
import type { CreateTenantRequest, GetTenantsQuery, UpdateTenantRequest } from './tenant-requests.js';

/** Tenants as administrators make and change them. A tenant sees itself. */
@Injectable()
export class TenantsService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessCache,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `already-exists` (name), `not-found` (a cluster) */
  async create(request: CreateTenantRequest): Promise<TenantBody> {
    const now = this.clock.now();
    const body = await this.database.transaction(async (manager) => {
      await requireClusters(manager, request.scheduler_cluster_ids);
      const id = await insertRow(manager, TenantEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        state: ENABLED,
        schedulerClusterIds: request.scheduler_cluster_ids ?? [],
        applications: request.applications ?? [],
        limits: quotas(request.limits),
      });
      return this.body(manager, await rowById(manager, TenantEntity, id));
    });
    await this.access.invalidate();
    return body;
  }

  /** @throws DfError `not-found` */
  async get(id: number, scope: TenantScope): Promise<TenantBody> {
    if (!scope.isUnlimited && scope.tenant?.id !== id) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    const { manager } = this.database;
    return this.body(manager, await rowById(manager, TenantEntity, id));
  }

  async list(query: GetTenantsQuery, scope: TenantScope): Promise<{ bodies: TenantBody[]; total: number }> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(manager, TenantEntity, { name: query.name }, pageOf(query), {
      id: scope.isUnlimited ? undefined : scope.tenant ? [scope.tenant.id] : [],
    });
    const members = await manager.find(TenantMemberEntity, {
      where: { tenantId: In(rows.map((row) => row.id)) },
      order: { userId: 'ASC' },
    });
    const membersOf = Map.groupBy(members, (member) => member.tenantId);
    return {
      bodies: rows.map((row) =>
        tenantBody(
          row,
          (membersOf.get(row.id) ?? []).map((member) => member.userId),
        ),
      ),
      total,
    };
  }

  /**
   * Parts that are left out stay as they are; a list or the limits that are given replace the former ones.
   * @throws DfError `not-found`, `already-exists` (name)
   */
  async update(id: number, request: UpdateTenantRequest): Promise<TenantBody> {
    const now = this.clock.now();
    const body = await this.database.transaction(async (manager) => {
      await rowById(manager, TenantEntity, id);
      await requireClusters(manager, request.scheduler_cluster_ids);
      await updateRow(manager, TenantEntity, now, id, {
        name: request.name || undefined,
        bio: request.bio,
        state: request.state || undefined,
        schedulerClusterIds: request.scheduler_cluster_ids,
        applications: request.applications,
        limits: request.limits && quotas(request.limits),
      });
      return this.body(manager, await rowById(manager, TenantEntity, id));
    });
    await this.access.invalidate();
    return body;
  }

  /** @throws DfError `not-found`; `already-exists` with a text while it has members: they would see everything then */
  async delete(id: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      await rowById(manager, TenantEntity, id);
      if (await manager.existsBy(TenantMemberEntity, { tenantId: id })) {
        const text = 'the tenant has users: take them out first';
        throw new DfError('already-exists', text, { details: { shown: text } });
      }
      await manager.delete(TenantEntity, { id });
    });
    await this.access.invalidate();
  }

  /**
   * Makes an account a member; it leaves its former tenant.
   * @throws DfError `not-found` (tenant, account), `resource-exhausted` (quota of users)
   */
  async addUser(id: number, userId: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      const tenant = await rowById(manager, TenantEntity, id);
      await rowById(manager, UserEntity, userId);
      const { users } = tenant.limits as TenantLimits;
      const members = await manager.countBy(TenantMemberEntity, { tenantId: id });
      const isMember = await manager.existsBy(TenantMemberEntity, { tenantId: id, userId });
      if (!isMember && users !== undefined && members >= users) {
        throw new DfError('resource-exhausted', `quota of tenant ${tenant.name} exceeded: ${users} users`);
      }
      await manager.delete(TenantMemberEntity, { userId });
      await manager.insert(TenantMemberEntity, { userId, tenantId: id });
    });
    await this.access.invalidate();
  }

  /**
   * Takes an account out of its tenant. Accounts without a tenant see everything: its roles go and its tokens are switched
   * off, until somebody gives them again.
   * @throws DfError `not-found`
   */
  async removeUser(id: number, userId: number): Promise<void> {
    const now = this.clock.now();
    await this.database.transaction(async (manager) => {
      const { affected } = await manager.delete(TenantMemberEntity, { tenantId: id, userId });
      if (!affected) {
        throw new DfError('not-found', RECORD_NOT_FOUND);
      }
      await manager.delete(CasbinRuleEntity, { ptype: 'g', v0: String(userId) });
      await manager.update(PersonalAccessTokenEntity, { userId, isDel: 0 }, { state: 'inactive', updatedAt: now });
    });
    await this.access.invalidate();
  }

  private async body(manager: EntityManager, row: TenantEntity): Promise<TenantBody> {
    const members = await manager.find(TenantMemberEntity, { where: { tenantId: row.id }, order: { userId: 'ASC' } });
    return tenantBody(
      row,
      members.map((member) => member.userId),
    );
  }
}

/** 0 means "no limit", as everywhere in the API. */
function quotas(limits: object | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stored(limits ?? {})).filter(([, value]) => value !== 0));
}

async function requireClusters(manager: EntityManager, ids: readonly number[] | undefined): Promise<void> {
  for (const id of ids ?? []) {
    await rowById(manager, SchedulerClusterEntity, id);
  }
}
