import { DfError } from '@dragonfly/errors';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { AccessCache, type AccountView } from './access-directory.js';
import { AccessTokenVerifier } from './access-token-verifier.js';
import { setCaller, type Caller } from './caller.js';
import type { Action } from './policies.js';
import { ROUTE_RULES, type TenantRule } from './route-rules.js';
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

/**
 * Lets a request pass when its session may do what it asks for: `/api/…` wants a session token and a policy for the
 * first path segment, `/oapi/…` a personal access token with the scope. Callers of a tenant additionally need a route
 * that is for tenants, and their tenant's rate. Everything else must be marked `@Public()`.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: SessionTokens,
    private readonly access: AccessCache,
    private readonly accessTokens: AccessTokenVerifier,
    private readonly rates: TenantRates,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.rule<boolean>(context, ROUTE_RULES.isPublic)) {
      return true;
    }
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const [, surface, object = ''] = ROUTE_PATTERN.exec(request.url) ?? [];
    if (surface === 'oapi') {
      setCaller(request, await this.tokenCaller(request, object));
    } else if (surface === 'api') {
      setCaller(request, await this.sessionCaller(request, object, context));
    } else {
      throw new DfError('permission-denied', 'permission deny');
    }
    return true;
  }

  private async sessionCaller(request: FastifyRequest, object: string, context: ExecutionContext): Promise<Caller> {
    const token = sessionTokenOf(request);
    if (token === undefined) {
      throw new DfError('unauthenticated', 'no session token');
    }
    const { userId } = await this.tokens.verify(token);
    const access = await this.access.get();
    const { name } = enabled(await access.account(userId));
    const isOwnAccount =
      this.rule<boolean>(context, ROUTE_RULES.isForOwnAccount) === true &&
      (request.params as Record<string, unknown>)['id'] === String(userId);
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
    await this.checkTenant(caller, context);
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
    return this.withinRates({
      kind: 'token',
      userId,
      name: row.name,
      scope: access.scopeOf(userId).narrowedTo(limits),
      may: (wanted) => row.scopes.length === 0 || row.scopes.includes(TOKEN_SCOPES.get(wanted) ?? wanted),
    });
  }

  private async checkTenant(caller: Caller, context: ExecutionContext): Promise<void> {
    if (
      !caller.scope.isUnlimited &&
      (this.rule<TenantRule>(context, ROUTE_RULES.forTenants) ?? 'refused') === 'refused'
    ) {
      throw permissionDenied();
    }
    await this.withinRates(caller);
  }

  private async withinRates(caller: Caller): Promise<Caller> {
    const { tenant } = caller.scope;
    if (tenant?.limits.requests_per_second) {
      await this.rates.take(tenant, 'requests', tenant.limits.requests_per_second, 1_000);
    }
    return caller;
  }

  private rule<T>(context: ExecutionContext, key: string): T | undefined {
    return this.reflector.getAllAndOverride<T | undefined>(key, [context.getHandler(), context.getClass()]);
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
