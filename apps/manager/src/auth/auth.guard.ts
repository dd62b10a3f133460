import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { hasCaller } from './caller.js';
import { RequestGate } from './request-gate.js';
import { ROUTE_RULES, type TenantRule } from './route-rules.js';

/** Lets a request pass when the {@link RequestGate} does, unless the route is marked `@Public()`. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly gate: RequestGate,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.rule<boolean>(context, ROUTE_RULES.isPublic)) {
      return true;
    }
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    // The gate has let it pass before, for the same route, in search of an answer that was kept.
    if (!hasCaller(request)) {
      await this.gate.admit(request, {
        forTenants: this.rule<TenantRule>(context, ROUTE_RULES.forTenants) ?? 'refused',
        isForOwnAccount: this.rule<boolean>(context, ROUTE_RULES.isForOwnAccount) ?? false,
      });
    }
    return true;
  }

  private rule<T>(context: ExecutionContext, key: string): T | undefined {
    return this.reflector.getAllAndOverride<T | undefined>(key, [context.getHandler(), context.getClass()]);
  }
}
