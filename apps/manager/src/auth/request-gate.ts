import { DfError } from '@dragonfly/errors';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AccessCache, type AccountView } from './access-directory.js';
import { AccessTokenVerifier } from './access-token-verifier.js';
import { setCaller, type Caller } from './caller.js';
import type { Action } from './policies.js';
import type { TenantRule } from './route-rules.js';
import { SessionTokens } from './session-tokens.js';
import { TenantRates } from './tenant-rates.js';

export const SESSION_COOKIE = 'jwt';

/** Personal access tokens are good for these resources only; the scope that each needs. */
const TOKEN_SCOPES: ReadonlyMap<string, string> = new Map([
  ['jobs', 'job'],
  ['clusters', 'cluster'],
]);
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const ROUTE_PATTERN = /^\/(api|oapi)\/v[0-9]+\/([-_a-zA-Z]*)/;

/** What a route that is not public says about its callers. */
export interface RouteRules {
  readonly forTenants: TenantRule;
  readonly isForOwnAccount: boolean;
}

/**
 * Decides who may make a request: `/api/…` wants a session token and a policy for the first path segment, `/oapi/…` a
 * personal access token with the scope. Callers of a tenant additionally need a route that is for tenants, and their
 * tenant's rate.
 */
@Injectable()
export class RequestGate {
  constructor(
    private readonly tokens: SessionTokens,
    private readonly access: AccessCache,
    private readonly accessTokens: AccessTokenVerifier,
    private readonly rates: TenantRates,
  ) {}

  /**
   * Lets the request pass: from then on it has a caller.
   * @throws DfError `unauthenticated`, `permission-denied`, `resource-exhausted` (the tenant's rate)
   */
  async admit(request: FastifyRequest, rules: RouteRules): Promise<Caller> {
    const [, surface, object = ''] = ROUTE_PATTERN.exec(request.url) ?? [];
    if (surface !== 'api' && surface !== 'oapi') {
      throw new DfError('permission-denied', 'permission deny');
    }
    const caller =
      surface === 'oapi' ? await this.tokenCaller(request, object) : await this.sessionCaller(request, object, rules);
    const { tenant } = caller.scope;
    if (tenant?.limits.requests_per_second) {
      await this.rates.take(tenant, 'requests', tenant.limits.requests_per_second, 1_000);
    }
    setCaller(request, caller);
    return caller;
  }

  private async sessionCaller(request: FastifyRequest, object: string, rules: RouteRules): Promise<Caller> {
    const token = sessionTokenOf(request);
    if (token === undefined) {
      throw new DfError('unauthenticated', 'no session token');
    }
    const { userId } = await this.tokens.verify(token);
    const access = await this.access.get();
    const { name } = enabled(await access.account(userId));
    const isOwnAccount = rules.isForOwnAccount && (request.params as Record<string, unknown>)['id'] === String(userId);
    const scope = access.scopeOf(userId);
    const caller: Caller = {
      kind: 'user',
      userId,
      name,
      scope,
      may: (wanted, action) => access.policies.allows(userId, wanted, action),
    };
    if (!isOwnAccount && !caller.may(object, actionOf(request))) {
      throw permissionDenied();
    }
    if (!scope.isUnlimited && rules.forTenants === 'refused') {
      throw permissionDenied();
    }
    return caller;
  }

  private async tokenCaller(request: FastifyRequest, object: string): Promise<Caller> {
    const query = request.query as Record<string, unknown>;
    const given = bearerOf(request) ?? (typeof query['access_token'] === 'string' ? query['access_token'] : undefined);
    const scope = TOKEN_SCOPES.get(object) ?? object;
    if (given === undefined || given === '') {
      throw new DfError('unauthenticated', 'no personal access token');
    }
    const { row, limits } = await this.accessTokens.verify(given, scope);
    const access = await this.access.get();
    const userId = row.userId ?? 0;
    if (userId > 0) {
      enabled(await access.account(userId));
    }
    return {
      kind: 'token',
      userId,
      name: row.name,
      scope: access.scopeOf(userId).narrowedTo(limits),
      may: (wanted) => row.scopes.length === 0 || row.scopes.includes(TOKEN_SCOPES.get(wanted) ?? wanted),
    };
  }
}

function enabled(account: AccountView | undefined): AccountView {
  if (!account?.isEnabled) {
    throw new DfError('unauthenticated', 'account is gone or disabled');
  }
  return account;
}

function actionOf(request: FastifyRequest): Action {
  return READING_METHODS.has(request.method) ? 'read' : '*';
}

/** The API answers this with 401, as the original and its clients have it. */
function permissionDenied(): DfError {
  return new DfError('unauthenticated', 'permission deny', { details: { shown: 'permission deny' } });
}

/** Where a session token may be: cookie, then bearer, then query; the first that is not empty. */
export function sessionTokenOf(request: FastifyRequest): string | undefined {
  const query = request.query as Record<string, unknown>;
  const inQuery = typeof query['token'] === 'string' ? query['token'] : undefined;
  return request.cookies[SESSION_COOKIE] || bearerOf(request) || inQuery || undefined;
}

function bearerOf(request: FastifyRequest): string | undefined {
  return /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]?.trim();
}
