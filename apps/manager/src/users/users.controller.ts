import { DfError } from '@dragonfly/errors';
import { Controller, Delete, Get, HttpCode, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Caller, CurrentCaller } from '../auth/caller.js';
import { LoginThrottle } from '../auth/login-throttle.js';
import { ForOwnAccount, ForTenants, Public } from '../auth/route-rules.js';
import { Answers, AnswersList, AnswersNothing, AnswersPage, RefusesWithoutBody } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { IdParam, JsonBody, NameParam, QueryOf } from '../rest/request-decorators.js';
import { RestOptions } from '../rest/rest-options.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { MAX_ROLE_LENGTH } from './role-requests.js';
import { RolesService } from './roles.service.js';
import { UserBody } from './user-bodies.js';
import { GetUsersQuery, SignUpRequest, UpdateUserRequest } from './user-requests.js';
import { UsersService } from './users.service.js';

@ApiTags('User')
@ForTenants('scoped')
@Controller('api/v1/users')
export class UsersController {
  constructor(
    private readonly users: UsersService,
    private readonly roles: RolesService,
    private readonly throttle: LoginThrottle,
    private readonly options: RestOptions,
  ) {}

  @Post('signup')
  @Public()
  @HttpCode(200)
  @Answers(UserBody)
  async signUp(
    @JsonBody(SignUpRequest) account: RequestOf<typeof SignUpRequest>,
    @Req() request: FastifyRequest,
  ): Promise<UserBody> {
    if (!this.options.isSignUpOpen) {
      throw new DfError('permission-denied', 'accounts are made by an administrator here');
    }
    await this.throttle.countSignUp(request.ip);
    return this.users.signUp(account);
  }

  @Get(':id')
  @ForOwnAccount()
  @Answers(UserBody)
  get(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<UserBody> {
    scope.requireUser(id);
    return this.users.get(id);
  }

  @Get()
  @AnswersPage(UserBody)
  async list(
    @QueryOf(GetUsersQuery) query: RequestOf<typeof GetUsersQuery>,
    @CurrentCaller() { scope }: Caller,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<UserBody[]> {
    return listAnswer(request, reply, query, await this.users.list(query, scope));
  }

  /** Everybody may change the own profile. */
  @Patch(':id')
  @ForOwnAccount()
  @Answers(UserBody)
  update(
    @IdParam() id: number,
    @JsonBody(UpdateUserRequest) request: RequestOf<typeof UpdateUserRequest>,
    @CurrentCaller() caller: Caller,
  ): Promise<UserBody> {
    caller.scope.requireUser(id);
    return this.users.update(id, request, caller);
  }

  @Get(':id/roles')
  @ForOwnAccount()
  @AnswersList(z.string())
  rolesOf(@IdParam() id: number, @CurrentCaller() { scope }: Caller): Promise<string[]> {
    scope.requireUser(id);
    return this.roles.ofUser(id);
  }

  @Put(':id/roles/:role')
  @AnswersNothing()
  @RefusesWithoutBody(409)
  addRole(
    @IdParam() id: number,
    @NameParam('role', MAX_ROLE_LENGTH) role: string,
    @CurrentCaller() { scope }: Caller,
  ): Promise<void> {
    scope.requireUser(id);
    return this.roles.grant(id, role);
  }

  @Delete(':id/roles/:role')
  @AnswersNothing()
  @RefusesWithoutBody(404)
  removeRole(
    @IdParam() id: number,
    @NameParam('role', MAX_ROLE_LENGTH) role: string,
    @CurrentCaller() { scope, userId }: Caller,
  ): Promise<void> {
    scope.requireUser(id);
    return this.roles.revoke(id, role, userId);
  }
}
