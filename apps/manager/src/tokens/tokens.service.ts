import { randomUUID } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import {
  accessTokenHash,
  Database,
  insertRow,
  PersonalAccessTokenEntity,
  TokenLimitEntity,
  updateRow,
} from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { tokenLimits } from '../auth/access-token-verifier.js';
import type { Caller } from '../auth/caller.js';
import { TenantQuotas } from '../auth/tenant-quotas.js';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { pageOfRows, RECORD_NOT_FOUND, rowById } from '../rest/resource-rows.js';
import { usersById } from '../users/user-rows.js';
import { tokenBody, type PersonalAccessTokenBody } from './token-bodies.js';
import type {
  CreatePersonalAccessTokenRequest,
  GetPersonalAccessTokensQuery,
  UpdatePersonalAccessTokenRequest,
} from './token-requests.js';

const OBJECT = 'personal-access-tokens';
/** What a token is good for when the request does not say. */
const DEFAULT_SCOPES = ['job', 'cluster'];

/** Personal access tokens as they are made, shown and changed. Who may only read sees the own ones. */
@Injectable()
export class TokensService {
  constructor(
    private readonly database: Database,
    private readonly quotas: TenantQuotas,
    private readonly clock: Clock,
  ) {}

  /**
   * The one answer that holds the token; what is stored is its hash.
   * @throws DfError `already-exists` (name), `not-found` (owner or limits outside of the caller's scope),
   * `resource-exhausted` (quota)
   */
  async create(request: CreatePersonalAccessTokenRequest, caller: Caller): Promise<PersonalAccessTokenBody> {
    requireWithinScope(request, caller);
    const now = this.clock.now();
    const clear = newToken();
    return this.database.transaction(async (manager) => {
      const { userIds } = caller.scope;
      await this.quotas.requireRoom(caller, 'personal_access_tokens', () =>
        manager.countBy(PersonalAccessTokenEntity, { isDel: 0, ...(userIds ? { userId: In([...userIds]) } : {}) }),
      );
      const id = await insertRow(manager, PersonalAccessTokenEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        token: accessTokenHash(clear),
        scopes: request.scopes && request.scopes.length > 0 ? request.scopes : DEFAULT_SCOPES,
        state: 'active',
        expiredAt: request.expired_at,
        userId: request.user_id,
      });
      await setLimits(manager, id, request);
      return this.body(manager, await rowById(manager, PersonalAccessTokenEntity, id), clear);
    });
  }

  /** @throws DfError `not-found` */
  async get(id: number, caller: Caller): Promise<PersonalAccessTokenBody> {
    const { manager } = this.database;
    return this.body(manager, await visible(manager, id, caller));
  }

  async list(
    query: GetPersonalAccessTokensQuery,
    caller: Caller,
  ): Promise<{ bodies: PersonalAccessTokenBody[]; total: number }> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(
      manager,
      PersonalAccessTokenEntity,
      { state: query.state, userId: query.user_id },
      pageOf(query),
      { userId: caller.may(OBJECT, '*') ? caller.scope.userIds : [caller.userId] },
    );
    const owners = await usersById(
      manager,
      rows.map((row) => row.userId),
    );
    const limits = await manager.findBy(TokenLimitEntity, { tokenId: In(rows.map((row) => row.id)) });
    const limitOf = new Map(limits.map((limit) => [limit.tokenId, limit]));
    return {
      bodies: rows.map((row) => tokenBody(row, owners.get(row.userId ?? 0), tokenLimits(limitOf.get(row.id) ?? null))),
      total,
    };
  }

  /**
   * Parts that are left out stay as they are.
   * @throws DfError `not-found`
   */
  async update(
    id: number,
    request: UpdatePersonalAccessTokenRequest,
    caller: Caller,
  ): Promise<PersonalAccessTokenBody> {
    requireWithinScope(request, caller);
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      await visible(manager, id, caller);
      await updateRow(manager, PersonalAccessTokenEntity, now, id, {
        bio: request.bio,
        scopes: request.scopes && request.scopes.length > 0 ? request.scopes : undefined,
        state: request.state || undefined,
        expiredAt: request.expired_at,
        userId: request.user_id || undefined,
      });
      await setLimits(manager, id, request);
      return this.body(manager, await rowById(manager, PersonalAccessTokenEntity, id));
    });
  }

  /** @throws DfError `not-found` */
  async delete(id: number, caller: Caller): Promise<void> {
    await this.database.transaction(async (manager) => {
      await visible(manager, id, caller);
      await manager.delete(TokenLimitEntity, { tokenId: id });
      await manager.delete(PersonalAccessTokenEntity, { id });
    });
  }

  private async body(
    manager: EntityManager,
    row: PersonalAccessTokenEntity,
    clear?: string,
  ): Promise<PersonalAccessTokenBody> {
    const owners = await usersById(manager, [row.userId]);
    const limit = await manager.findOneBy(TokenLimitEntity, { tokenId: row.id });
    return tokenBody(row, owners.get(row.userId ?? 0), tokenLimits(limit), clear);
  }
}

/** In the form of the original: the text of a random UUID as base64url, 48 characters, 122 random bits. */
function newToken(): string {
  return Buffer.from(randomUUID()).toString('base64url');
}

function requireWithinScope(
  request: { user_id?: number; scheduler_cluster_ids?: number[]; applications?: string[] },
  { scope }: Caller,
): void {
  if (request.user_id) {
    scope.requireUser(request.user_id);
  }
  for (const id of request.scheduler_cluster_ids ?? []) {
    scope.requireCluster(id);
  }
  for (const name of request.applications ?? []) {
    scope.requireApplication(name);
  }
}

async function visible(manager: EntityManager, id: number, caller: Caller): Promise<PersonalAccessTokenEntity> {
  const row = await rowById(manager, PersonalAccessTokenEntity, id);
  const owner = row.userId ?? 0;
  if (!caller.scope.hasUser(owner) || (owner !== caller.userId && !caller.may(OBJECT, '*'))) {
    throw new DfError('not-found', RECORD_NOT_FOUND);
  }
  return row;
}

async function setLimits(
  manager: EntityManager,
  tokenId: number,
  request: { scheduler_cluster_ids?: number[]; applications?: string[] },
): Promise<void> {
  if (request.scheduler_cluster_ids === undefined && request.applications === undefined) {
    return;
  }
  const former = await manager.findOneBy(TokenLimitEntity, { tokenId });
  const limits = {
    ...former?.limits,
    ...(request.scheduler_cluster_ids ? { scheduler_cluster_ids: request.scheduler_cluster_ids } : {}),
    ...(request.applications ? { applications: request.applications } : {}),
  };
  await manager.delete(TokenLimitEntity, { tokenId });
  await manager.insert(TokenLimitEntity, { tokenId, limits: limits as never });
}
