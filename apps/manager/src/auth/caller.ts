import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { DfError } from '@dragonfly/errors';
import type { FastifyRequest } from 'fastify';
import type { Action } from './policies.js';
import type { TenantScope } from './tenant-scope.js';

/** Who makes a request of the REST API, after the guard has let it pass. */
export interface Caller {
  /** `user`: a session; `token`: a personal access token. */
  readonly kind: 'user' | 'token';
  /** The account, or the owner of the token; 0 for a token without an owner. */
  readonly userId: number;
  /** Name of the account or of the token, as the audit log shows it. */
  readonly name: string;
  /** What the caller may see and touch. */
  readonly scope: TenantScope;
  /** Whether the caller's role (or the scope of its token) has the action on the object. */
  may(object: string, action: Action): boolean;
}

/** Who the audit log names; known for public routes too once they know (a sign-in that succeeded). */
export interface Actor {
  readonly type: 'USER' | 'PAT' | 'UNKNOWN';
  readonly name: string;
}

const callers = new WeakMap<FastifyRequest, Caller>();
const actors = new WeakMap<FastifyRequest, Actor>();

export function setCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller);
  setActor(request, { type: caller.kind === 'user' ? 'USER' : 'PAT', name: caller.name });
}

/** Whether the guard has let the request pass. */
export function hasCaller(request: FastifyRequest): boolean {
  return callers.has(request);
}

/** @throws DfError `internal` on a public route: there is no caller */
export function callerOf(request: FastifyRequest): Caller {
  const caller = callers.get(request);
  if (!caller) {
    throw new DfError('internal', 'the route is public: it has no caller');
  }
  return caller;
}

export function setActor(request: FastifyRequest, actor: Actor): void {
  actors.set(request, actor);
}

export function actorOf(request: FastifyRequest): Actor {
  return actors.get(request) ?? { type: 'UNKNOWN', name: 'unknown' };
}

/** The caller as a parameter of a handler. */
export const CurrentCaller = createParamDecorator((_data: unknown, context: ExecutionContext): Caller =>
  callerOf(context.switchToHttp().getRequest<FastifyRequest>()),
);
