import { DfError } from '@dragonfly/errors';
import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { AccountsService } from './accounts.service.js';
import { PolicyCache } from './policies.js';
import { SessionTokens } from './session-tokens.js';

export const SESSION_COOKIE = 'jwt';
const IS_PUBLIC = 'dragonfly:is-public';

/** Opens a route to everybody. */
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata(IS_PUBLIC, true);

/** Personal access tokens are good for these resources only; the scope that each needs. */
const TOKEN_SCOPES: ReadonlyMap<string, string> = new Map([
  ['jobs', 'job'],
  ['clusters', 'cluster'],
]);
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Lets a request pass when its session may do what it asks for: `/api/…` wants a session token and a policy for the
 * first path segment, `/oapi/…` a personal access token with the scope. Everything else must be marked {@link Public}.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: SessionTokens,
    private readonly accounts: AccountsService,
    private readonly policies: PolicyCache,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.reflector.getAllAndOverride<boolean | undefined>(IS_PUBLIC, [context.getHandler(), context.getClass()])) {
      return true;
    }
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const { pathname } = new URL(request.url, 'http://manager');
    const match = /^\/(api|oapi)\/v[0-9]+\/([-_a-zA-Z]*)/.exec(pathname);
    const [, surface, object = ''] = match ?? [];
    if (surface === 'oapi') {
      await this.checkAccessToken(request, object);
    } else if (surface === 'api') {
      await this.checkSession(request, object);
    } else {
      throw new DfError('permission-denied', 'permission deny');
    }
    return true;
  }

  private async checkSession(request: FastifyRequest, object: string): Promise<void> {
    const token = sessionTokenOf(request);
    if (token === undefined) {
      throw new DfError('unauthenticated', 'no session token');
    }
    const { userId } = await this.tokens.verify(token);
    await this.accounts.activeUser(userId);
    const action = READING_METHODS.has(request.method) ? 'read' : '*';
    if (!(await this.policies.get()).allows(userId, object, action)) {
      // The API answers this with 401, as the original and its clients have it.
      throw new DfError('unauthenticated', 'permission deny', { details: { shown: 'permission deny' } });
    }
  }

  private async checkAccessToken(request: FastifyRequest, object: string): Promise<void> {
    const query = request.query as Record<string, unknown>;
    const given = bearerOf(request) ?? (typeof query['access_token'] === 'string' ? query['access_token'] : undefined);
    const scope = TOKEN_SCOPES.get(object);
    if (given === undefined || given === '') {
      throw new DfError('unauthenticated', 'no personal access token');
    }
    await this.accounts.checkAccessToken(given, scope ?? object);
  }
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
