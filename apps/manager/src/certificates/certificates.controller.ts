import { CertificateEntity, Database, JoinTokenEntity } from '@dragonfly/persistence';
import { Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForTenants } from '../auth/route-rules.js';
import { News } from '../notify/news.js';
import { Answers, AnswersList, AnswersNothing, AnswersPage } from '../rest/answers.js';
import { listAnswer } from '../rest/list-answer.js';
import { pageOf } from '../rest/pagination.js';
import { IdParam, JsonBody, QueryOf } from '../rest/request-decorators.js';
import { pageOfRows } from '../rest/resource-rows.js';
import type { RequestOf } from '../rest/rest-schema.js';
import { Authorities } from './authorities.js';
import {
  AuthorityBody,
  authorityBody,
  CertificateBody,
  certificateBody,
  JoinTokenBody,
  joinTokenBody,
} from './certificate-bodies.js';
import { CreateJoinTokenRequest, DEFAULT_TOKEN_TTL_SECONDS, ListQuery } from './certificate-requests.js';
import { CertificatesService } from './certificates.service.js';

/** Tokens to join with. */
@ApiTags('Certificate')
@ForTenants('refused')
@Controller('api/v1/join-tokens')
export class JoinTokensController {
  constructor(
    private readonly certificates: CertificatesService,
    private readonly database: Database,
  ) {}

  @Post()
  @HttpCode(200)
  @Answers(JoinTokenBody)
  async create(
    @JsonBody(CreateJoinTokenRequest) request: RequestOf<typeof CreateJoinTokenRequest>,
  ): Promise<JoinTokenBody> {
    const { row, token } = await this.certificates.createToken({
      names: request.names ?? [],
      bio: request.bio ?? '',
      ttlMs: (request.ttl_seconds || DEFAULT_TOKEN_TTL_SECONDS) * 1_000,
    });
    return joinTokenBody(row, token);
  }

  @Get()
  @AnswersPage(JoinTokenBody)
  async list(
    @QueryOf(ListQuery) query: RequestOf<typeof ListQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<JoinTokenBody[]> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(manager, JoinTokenEntity, {}, pageOf(query), {}, 'newest first');
    return listAnswer(request, reply, query, { bodies: rows.map((row) => joinTokenBody(row)), total });
  }

  @Delete(':id')
  @AnswersNothing()
  delete(@IdParam() id: number): Promise<void> {
    return this.certificates.deleteToken(id);
  }
}

/** Certificates that were given out; deleting one revokes it. */
@ApiTags('Certificate')
@ForTenants('refused')
@Controller('api/v1/certificates')
export class CertificatesController {
  constructor(
    private readonly certificates: CertificatesService,
    private readonly database: Database,
  ) {}

  @Get()
  @AnswersPage(CertificateBody)
  async list(
    @QueryOf(ListQuery) query: RequestOf<typeof ListQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CertificateBody[]> {
    const { manager } = this.database;
    const { rows, total } = await pageOfRows(manager, CertificateEntity, {}, pageOf(query), {}, 'newest first');
    return listAnswer(request, reply, query, { bodies: rows.map(certificateBody), total });
  }

  @Delete(':id')
  @AnswersNothing()
  revoke(@IdParam() id: number): Promise<void> {
    return this.certificates.revoke(id);
  }
}

/** The authorities of the cluster: making one begins a change of authority, deleting one ends the trust in it. */
@ApiTags('Certificate')
@ForTenants('refused')
@Controller('api/v1/certificate-authorities')
export class CertificateAuthoritiesController {
  constructor(
    private readonly authorities: Authorities,
    private readonly news: News,
  ) {}

  @Post()
  @HttpCode(200)
  @Answers(AuthorityBody)
  async create(): Promise<AuthorityBody> {
    const made = await this.authorities.rotate();
    await this.news.publish('certificates');
    return authorityBody(made);
  }

  @Get()
  @AnswersList(AuthorityBody)
  async list(): Promise<AuthorityBody[]> {
    return (await this.authorities.trusted()).map(authorityBody);
  }

  @Delete(':id')
  @AnswersNothing()
  async delete(@IdParam() id: number): Promise<void> {
    await this.authorities.distrust(id);
    await this.news.publish('certificates');
  }
}
