import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RestOptions } from '../rest/rest-options.js';
import { SESSION_COOKIE } from './request-gate.js';
import { SessionTokens } from './session-tokens.js';

/** The cookie that holds the session token. */
@Injectable()
export class SessionCookies {
  constructor(
    private readonly options: RestOptions,
    private readonly tokens: SessionTokens,
  ) {}

  set(request: FastifyRequest, reply: FastifyReply, token: string): void {
    void reply.setCookie(SESSION_COOKIE, token, {
      ...this.attributes(request),
      maxAge: Math.floor(this.tokens.lifetimeMs / 1_000),
      encode: (value) => value,
    });
  }

  clear(request: FastifyRequest, reply: FastifyReply): void {
    void reply.setCookie(SESSION_COOKIE, '', { ...this.attributes(request), maxAge: 0 });
  }

  /** Whether cookies are marked `Secure`: by configuration, else whenever the request came over TLS. */
  isSecure(request: FastifyRequest): boolean {
    const { secure } = this.options.cookie;
    return secure === 'auto' ? request.protocol === 'https' : secure;
  }

  private attributes(request: FastifyRequest): object {
    const { sameSite, httpOnly, domain } = this.options.cookie;
    return {
      path: '/',
      sameSite,
      // The real console reads the cookie with a script.
      ...(httpOnly ? { httpOnly } : {}),
      ...(this.isSecure(request) ? { secure: true } : {}),
      ...(domain ? { domain } : {}),
    };
  }
}
