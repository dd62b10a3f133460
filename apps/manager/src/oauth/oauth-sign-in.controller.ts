import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { DfError } from '@dragonfly/errors';
import { AccountsService } from '../auth/accounts.service.js';
import { setActor } from '../auth/caller.js';
import { Public } from '../auth/route-rules.js';
import { SessionCookies } from '../auth/session-cookies.js';
import { SessionTokens } from '../auth/session-tokens.js';
import { AnswersList, AnswersRedirect } from '../rest/answers.js';
import { invalidRequest, NameParam, QueryOf } from '../rest/request-decorators.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { OauthSigninCallbackQuery } from './oauth-requests.js';
import { OauthSignIn, PENDING_MS } from './oauth-sign-in.js';
import { OauthService } from './oauth.service.js';

const STATE_COOKIE = 'oauth_state';
const SIGN_IN_PATH = '/api/v1/users/signin';

/** Signing in through a provider: open to everybody. */
@ApiTags('User')
@Public()
@Controller('api/v1/users/signin')
export class OauthSignInController {
  constructor(
    private readonly signIns: OauthSignIn,
    private readonly providers: OauthService,
    private readonly accounts: AccountsService,
    private readonly tokens: SessionTokens,
    private readonly cookies: SessionCookies,
  ) {}

  /** The providers that people may sign in with. */
  @Get()
  @AnswersList(z.object({ name: z.string() }))
  list(): Promise<{ name: string }[]> {
    return this.providers.names();
  }

  @Get(':name')
  @AnswersRedirect()
  async begin(
    @NameParam('name') name: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const own = `${request.protocol}://${request.host}${SIGN_IN_PATH}/${encodeURIComponent(name)}/callback`;
    const { url, state } = await this.signIns.begin(name, own);
    await reply
      .setCookie(STATE_COOKIE, state, { ...this.stateCookie(request), maxAge: PENDING_MS / 1_000 })
      .redirect(url, 302);
  }

  @Get(':name/callback')
  @AnswersRedirect()
  async callback(
    @NameParam('name') name: string,
    @QueryOf(OauthSigninCallbackQuery) query: RequestOf<typeof OauthSigninCallbackQuery>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (query.error) {
      throw new DfError('unauthenticated', 'refused', { details: { shown: 'the sign-in was refused or given up' } });
    }
    if (!query.code) {
      throw invalidRequest(
        "Key: 'OauthSigninCallbackQuery.Code' Error:Field validation for 'Code' failed on the 'required' tag",
      );
    }
    const { searchParams } = new URL(request.url, 'http://manager');
    const { id, name: account } = await this.signIns.finish(name, searchParams, request.cookies[STATE_COOKIE]);
    await this.accounts.enabledAccount(id);
    setActor(request, { type: 'USER', name: account });
    const { token } = await this.tokens.issue(id);
    this.cookies.set(request, reply, token);
    await reply.setCookie(STATE_COOKIE, '', { ...this.stateCookie(request), maxAge: 0 }).redirect('/', 302);
  }

  private stateCookie(request: FastifyRequest): object {
    return { path: SIGN_IN_PATH, httpOnly: true, sameSite: 'lax', secure: this.cookies.isSecure(request) };
  }
}
