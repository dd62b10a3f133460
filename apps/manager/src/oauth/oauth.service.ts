import { Database, insertRow, OauthEntity, OauthProviderEntity, updateRow } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { Clock } from '../clock.js';
import { pageOf } from '../rest/pagination.js';
import { invalidRequest } from '../rest/request-decorators.js';
import { pageOfRows, rowById } from '../rest/resource-rows.js';
import { oauthBody, type OauthBody } from './oauth-bodies.js';
import type { CreateOauthRequest, GetOauthsQuery, UpdateOauthRequest } from './oauth-requests.js';
import { isBuiltIn } from './sign-in-providers.js';

/** Providers as administrators set them up. Their secrets are never shown. */
@Injectable()
export class OauthService {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @throws DfError `already-exists` (name, client id), `invalid-argument` (an own provider without an issuer) */
  async create(request: CreateOauthRequest): Promise<OauthBody> {
    requireIssuer('CreateOauthRequest', request.name, request.issuer);
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const id = await insertRow(manager, OauthEntity, now, {
        name: request.name,
        bio: request.bio ?? '',
        clientId: request.client_id,
        clientSecret: request.client_secret,
        redirectUrl: request.redirect_url ?? '',
      });
      if (!isBuiltIn(request.name)) {
        await manager.insert(OauthProviderEntity, {
          oauthId: id,
          issuer: request.issuer,
          scopes: request.scopes ?? [],
        });
      }
      return body(manager, await rowById(manager, OauthEntity, id));
    });
  }

  /** @throws DfError `not-found` */
  async get(id: number): Promise<OauthBody> {
    const { manager } = this.database;
    return body(manager, await rowById(manager, OauthEntity, id));
  }

  async list(query: GetOauthsQuery): Promise<{ bodies: OauthBody[]; total: number }> {
    const { manager } = this.database;
    const filters = { name: query.name, clientId: query.client_id };
    const { rows, total } = await pageOfRows(manager, OauthEntity, filters, pageOf(query));
    const providers = await manager.findBy(OauthProviderEntity, { oauthId: In(rows.map((row) => row.id)) });
    const byId = new Map(providers.map((provider) => [provider.oauthId, provider]));
    return { bodies: rows.map((row) => oauthBody(row, byId.get(row.id))), total };
  }

  /** Names of the providers, for the page where people sign in. */
  async names(): Promise<{ name: string }[]> {
    const rows = await this.database.manager.find(OauthEntity, { where: { isDel: 0 }, order: { id: 'ASC' } });
    return rows.map(({ name }) => ({ name }));
  }

  /**
   * Parts that are left out stay as they are.
   * @throws DfError `not-found`, `already-exists`, `invalid-argument`
   */
  async update(id: number, request: UpdateOauthRequest): Promise<OauthBody> {
    const now = this.clock.now();
    return this.database.transaction(async (manager) => {
      const former = await rowById(manager, OauthEntity, id);
      const provider = await manager.findOneBy(OauthProviderEntity, { oauthId: id });
      const name = request.name || former.name;
      const issuer = request.issuer || provider?.issuer;
      requireIssuer('UpdateOauthRequest', name, issuer);
      await updateRow(manager, OauthEntity, now, id, {
        name,
        bio: request.bio,
        clientId: request.client_id || undefined,
        clientSecret: request.client_secret || undefined,
        redirectUrl: request.redirect_url,
      });
      await manager.delete(OauthProviderEntity, { oauthId: id });
      if (!isBuiltIn(name)) {
        await manager.insert(OauthProviderEntity, {
          oauthId: id,
          issuer,
          scopes: request.scopes ?? provider?.scopes ?? [],
        });
      }
      return body(manager, await rowById(manager, OauthEntity, id));
    });
  }

  /** @throws DfError `not-found` */
  async delete(id: number): Promise<void> {
    await this.database.transaction(async (manager) => {
      await rowById(manager, OauthEntity, id);
      await manager.delete(OauthProviderEntity, { oauthId: id });
      await manager.delete(OauthEntity, { id });
    });
  }
}

async function body(manager: EntityManager, row: OauthEntity): Promise<OauthBody> {
  return oauthBody(row, (await manager.findOneBy(OauthProviderEntity, { oauthId: row.id })) ?? undefined);
}

/** A name that we do not know needs an issuer; the rule that is broken is that of the original. */
function requireIssuer(type: string, name: string, issuer: string | undefined): void {
  if (!isBuiltIn(name) && !issuer) {
    throw invalidRequest(`Key: '${type}.Name' Error:Field validation for 'Name' failed on the 'oneof' tag`);
  }
}
