import { DfError } from '@dragonfly/errors';
import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Answers, AnswersNothing, bodyType } from '../rest/answers.js';
import { time } from '../rest/shared-bodies.js';
import { jsonTime } from '../rest/json-time.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { IdParam, JsonBody, requestSchema } from '../rest/request-decorators.js';
import { AccountsService } from './accounts.service.js';
import { sessionTokenOf } from './request-gate.js';
import { setActor } from './caller.js';
import { Public } from './route-rules.js';
import { SessionCookies } from './session-cookies.js';
import { ResetPasswordRequest, SignInRequest } from './session-requests.js';
import { SessionTokens, type SessionToken } from './session-tokens.js';

export interface SignedInBody {
  token: string;
  expire: string;
}

const SignedInBody = bodyType('SignedIn', z.object({ token: z.string(), expire: time() }));

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
    private readonly cookies: SessionCookies,
  ) {}

  /** Everything that is wrong with the request is the same 401: it tells nothing about accounts. */
  @Post('signin')
  @HttpCode(200)
  @Answers(SignedInBody)
  @ApiBody({ schema: requestSchema(SignInRequest) })
  async signIn(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SignedInBody> {
    const parsed = SignInRequest.schema.safeParse(body ?? {});
    if (!parsed.success) {
      throw new DfError('unauthenticated', 'name or password is missing or malformed');
    }
    const { user, hasInitialPassword } = await this.accounts.signIn(parsed.data.name, parsed.data.password, request.ip);
    setActor(request, { type: 'USER', name: user.name });
    if (hasInitialPassword) {
      void reply.header('warning', INITIAL_PASSWORD_WARNING);
    }
    return this.answer(request, reply, await this.tokens.issue(user.id));
  }

  @Post('refresh_token')
  @Answers(SignedInBody)
  @HttpCode(200)
  async refresh(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SignedInBody> {
    const { userId } = await this.tokens.verifyForRefresh(sessionTokenOf(request) ?? '');
    const { name } = await this.accounts.enabledAccount(userId);
    setActor(request, { type: 'USER', name });
    return this.answer(request, reply, await this.tokens.issue(userId));
  }

  @Post('signout')
  @AnswersNothing()
  @HttpCode(200)
  signOut(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): void {
    this.cookies.clear(request, reply);
  }

  /** The old password is the proof, so that no session is needed. */
  @Post(':id/reset_password')
  @AnswersNothing()
  @HttpCode(200)
  resetPassword(
    @IdParam() id: number,
    @JsonBody(ResetPasswordRequest) passwords: RequestOf<typeof ResetPasswordRequest>,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    return this.accounts.resetPassword(id, passwords.old_password, passwords.new_password, request.ip);
  }

  private answer(request: FastifyRequest, reply: FastifyReply, { token, expiresAt }: SessionToken): SignedInBody {
    this.cookies.set(request, reply, token);
    return { token, expire: jsonTime(expiresAt) };
  }
}
