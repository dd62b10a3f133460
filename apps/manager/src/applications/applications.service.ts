import { ApplicationEntity, Database, insertRow, TenantEntity, updateRow } from '@dragonfly/persistence';
import { DfError } from '@dragonfly/errors';
import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { AccessCache } from '../auth/access-directory.js';
import type { Caller } from '../auth/caller.js';
import { TenantQuotas } from '../auth/tenant-quotas.js';
import type { TenantScope } from '../auth/tenant-scope.js';
import { Clock } from '../clock.js';
import { News } from '../notify/news.js';
import { pageOf } from '../rest/pagination.js';
import { pageOfRows, RECORD_NOT_FOUND, rowById, stored } from '../rest/resource-rows.js';
import { usersById } from '../users/user-rows.js';
import { applicationBody, type ApplicationBody } from './application-bodies.js';
import type {
  CreateApplicationRequest,
  GetApplicationsQuery,
  UpdateApplicationRequest,
} from './application-requests.js';

/** Applications with their priorities. */
@Injectable()
export class ApplicationsService {
  constructor(
    private readonly database: Database,
    private readonly access: AccessCache,
    private readonly quotas: TenantQuotas,
    private readonly news: News,
    private readonly clock: Clock,
  ) {}

  /**
   * An application that a tenant makes belongs to it.
   * @throws DfError `already-exists` (name), `resource-exhausted` (quota)
   */
  async create(request: CreateApplicationRequest, caller: Caller): Promise<ApplicationBody> {
    caller.scope.requireUser(request.user_id);
    const now = this.clock.now();
    const body = await this.database.transaction(async (manager) => {
      const { tenant, applications } = caller.scope;
      if (tenant && applications) {
        await requireUnclaimed(manager, request.name, tenant.id);
      }
      await this.quotas.requireRoom(caller, 'applications', () =>
        manager.countBy(ApplicationEntity, { isDel: 0, ...(applications ? { name: In([...applications]) } : {}) }),
      );
      const id = await insertRow(manager, ApplicationEntity, now, {
        name: request.name,
        url: request.url,
        bio: request.bio ?? '',
        priority: stored(request.priority),
        userId: request.user_id,
      });
      if (tenant && applications) {
        const row = await rowById(manager, TenantEntity, tenant.id);
        await updateRow(manager, TenantEntity, now, tenant.id, {
          applications: [...new Set([...row.applications, request.name])],
        });
      }
      return this.body(manager, await rowById(manager, ApplicationEntity, id));
    });
    await Promise.all([this.access.invalidate(), this.news.publish('applications')]);
    return body;
  }

  /** @throws DfError `not-found` */
  async get(id: number, scope: TenantScope): Promise<ApplicationBody> {
    const { manager } = this.database;
    return this.body(manager, await visible(manager, id, scope));
  }

  async list(query: GetApplicationsQuery, scope: TenantScope): Promise<{ bodies: ApplicationBody[]; total: number }> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(manager, ApplicationEntity, { name: query.name }, pageOf(query), {
      name: scope.applications,
    });
    const owners = await usersById(
      manager,
      rows.map((row) => row.userId),
    );
    return { bodies: rows.map((row) => applicationBody(row, owners.get(row.userId ?? 0))), total };
  }

  /**
   * Parts that are left out stay as they are. A tenant cannot rename: the name says whose it is.
   * @throws DfError `not-found`, `already-exists`, `permission-denied`
   */
  async update(id: number, request: UpdateApplicationRequest, scope: TenantScope): Promise<ApplicationBody> {
    scope.requireUser(request.user_id);
    const now = this.clock.now();
    const body = await this.database.transaction(async (manager) => {
      const former = await visible(manager, id, scope);
      if (scope.applications && request.name && request.name !== former.name) {
        throw new DfError('permission-denied', 'applications of a tenant are renamed by an administrator');
      }
      await updateRow(manager, ApplicationEntity, now, id, {
        name: request.name || undefined,
        url: request.url || undefined,
        bio: request.bio,
        priority: request.priority && stored(request.priority),
        userId: request.user_id,
      });
      return this.body(manager, await rowById(manager, ApplicationEntity, id));
    });
    await this.news.publish('applications');
    return body;
  }

  /** @throws DfError `not-found` */
  async delete(id: number, scope: TenantScope): Promise<void> {
    await this.database.transaction(async (manager) => {
      await visible(manager, id, scope);
      await manager.delete(ApplicationEntity, { id });
    });
    await this.news.publish('applications');
  }

  private async body(manager: EntityManager, row: ApplicationEntity): Promise<ApplicationBody> {
    const owners = await usersById(manager, [row.userId]);
    return applicationBody(row, owners.get(row.userId ?? 0));
  }
}

/** Whose an application is, is in its name: one that is promised to another tenant is as good as there. */
async function requireUnclaimed(manager: EntityManager, name: string, tenantId: number): Promise<void> {
  const tenants = await manager.find(TenantEntity, { select: { id: true, applications: true } });
  if (tenants.some((tenant) => tenant.id !== tenantId && tenant.applications.includes(name))) {
    throw new DfError('already-exists', `the application ${name} belongs to another tenant`);
  }
}

async function visible(manager: EntityManager, id: number, scope: TenantScope): Promise<ApplicationEntity> {
  const row = await rowById(manager, ApplicationEntity, id);
  if (!scope.hasApplication(row.name)) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
  return row;
}
