import { DfError } from '@dragonfly/errors';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AccessCache } from '../auth/access-directory.js';
import { AccessTokenVerifier } from '../auth/access-token-verifier.js';
import { setCaller } from '../auth/caller.js';
import { TenantQuotas } from '../auth/tenant-quotas.js';

const TOKEN_SCOPE = 'job';
const TOKEN_OBJECT = 'jobs';

/** Wants a personal access token for jobs, as bearer or as the password of Basic authentication. */
@Injectable()
export class PreheatTokenGuard implements CanActivate {
  constructor(
    private readonly tokens: AccessTokenVerifier,
    private readonly access: AccessCache,
    private readonly quotas: TenantQuotas,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const token = tokenOf(request.headers.authorization ?? '');
    if (token === undefined) {
      throw new DfError('unauthenticated', 'no personal access token');
    }
    const { row, limits } = await this.tokens.verify(token, TOKEN_SCOPE);
    const userId = row.userId ?? 0;
    const access = await this.access.get();
    if (userId > 0 && !(await access.account(userId))?.isEnabled) {
      throw new DfError('unauthenticated', 'account is gone or disabled');
    }
    const scope = access.scopeOf(userId).narrowedTo(limits);
    await this.quotas.takeRequest({ scope });
    setCaller(request, {
      kind: 'token',
      userId,
      name: row.name,
      scope,
      may: (object) => object === TOKEN_OBJECT,
    });
    return true;
  }
}

function tokenOf(authorization: string): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(.+)$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() === 'basic') {
    const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(value, 'base64').toString('utf8')) ?? [];
    return password || undefined;
  }
  return value.trim() || undefined;
}
