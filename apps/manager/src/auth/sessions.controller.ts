import { DfError } from '@dragonfly/errors';
import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { jsonTime } from '../rest/json-time.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, requestSchema } from '../rest/request-decorators.js';
import { AccountsService } from './accounts.service.js';
import { Public, SESSION_COOKIE, sessionTokenOf } from './auth.guard.js';
import { ResetPasswordRequest, SignInRequest } from './session-requests.js';
import { SessionTokens, type SessionToken } from './session-tokens.js';

export interface SignedInBody {
  token: string;
  expire: string;
}

const INITIAL_PASSWORD_WARNING =
  '299 - "the account still has its initial password: change it with POST /api/v1/users/:id/reset_password"';

/** Signing in and out. Open to everybody. */
@ApiTags('User')
@Public()
@Controller('api/v1/users')
export class SessionsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly tokens: SessionTokens,
  ) {}

  /** Everything that is wrong with the request is the same 401: it tells nothing about accounts. */
  @Post('signin')
  @HttpCode(200)
  @ApiBody({ schema: requestSchema(SignInRequest) })
  async signIn(@Body() body: unknown, @Res({ passthrough: true }) reply: FastifyReply): Promise<SignedInBody> {
    const parsed = SignInRequest.schema.safeParse(body ?? {});
    if (!parsed.success) {
      throw new DfError('unauthenticated', 'name or password is missing or malformed');
    }
    const { user, hasInitialPassword } = await this.accounts.signIn(parsed.data.name, parsed.data.password);
    if (hasInitialPassword) {
      void reply.header('warning', INITIAL_PASSWORD_WARNING);
    }
    return this.answer(reply, await this.tokens.issue(user.id));
  }

  @Post('refresh_token')
  @HttpCode(200)
  async refresh(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SignedInBody> {
    const { userId } = await this.tokens.verifyForRefresh(sessionTokenOf(request) ?? '');
    await this.accounts.activeUser(userId);
    return this.answer(reply, await this.tokens.issue(userId));
  }

  @Post('signout')
  @HttpCode(200)
  signOut(@Res({ passthrough: true }) reply: FastifyReply): void {
    void reply.setCookie(SESSION_COOKIE, '', { path: '/', maxAge: 0, sameSite: 'lax' });
  }

  /** The old password is the proof, so that no session is needed. */
  @Post(':id/reset_password')
  @HttpCode(200)
  resetPassword(
    @IdParam() id: number,
    @JsonBody(ResetPasswordRequest) request: RequestOf<typeof ResetPasswordRequest>,
  ): Promise<void> {
    return this.accounts.resetPassword(id, request.old_password, request.new_password);
  }

  private answer(reply: FastifyReply, { token, expiresAt }: SessionToken): SignedInBody {
    // The console reads the cookie with a script, so it cannot be HttpOnly; it is not sent along by other sites.
    void reply.setCookie(SESSION_COOKIE, token, {
      path: '/',
      maxAge: Math.floor(this.tokens.lifetimeMs / 1_000),
      sameSite: 'lax',
      encode: (value) => value,
    });
    return { token, expire: jsonTime(expiresAt) };
  }
}
