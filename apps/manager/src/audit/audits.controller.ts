import { type AuditEntity, AuditEntity as Audit, Database } from '@dragonfly/persistence';
import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ForTenants } from '../auth/route-rules.js';
import { AnswersPage, bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import { listAnswer } from '../rest/list-answer.js';
import { pageFields, pageOf } from '../rest/pagination.js';
import { QueryOf } from '../rest/request-decorators.js';
import { pageOfRows } from '../rest/resource-rows.js';
import { optionalText, queryInteger, requestType, type RequestOf } from '../rest/rest-schema.js';
import { base, type BaseBody, baseFields, json, time } from '../rest/shared-bodies.js';
import { AUDIT_EVENTS } from './audit-log.js';

const GetAuditsQuery = requestType(
  'GetAuditsQuery',
  z.object({
    actor_type: optionalText({ oneOf: ['UNKNOWN', 'USER', 'PAT'] }),
    actor_name: optionalText(),
    event_type: optionalText({ oneOf: AUDIT_EVENTS }),
    operation: optionalText(),
    state: optionalText({ oneOf: ['SUCCESS', 'FAILURE'] }),
    path: optionalText(),
    status_code: queryInteger(),
    ...pageFields,
  }),
);

interface AuditBody extends BaseBody {
  actor_type: string;
  actor_name: string;
  event_type: string;
  operation: string;
  operated_at: string;
  state: string;
  path: string;
  status_code: number;
  /** `{ip}` of a request, `{reason}` of work that was stopped. */
  detail: Record<string, unknown>;
}

const AuditBody: z.ZodType<AuditBody> = bodyType(
  'Audit',
  z.object({
    ...baseFields,
    actor_type: z.string(),
    actor_name: z.string(),
    event_type: z.string(),
    operation: z.string(),
    operated_at: time(),
    state: z.string(),
    path: z.string(),
    status_code: z.int(),
    detail: json(),
  }),
);

function auditBody(row: AuditEntity): AuditBody {
  return {
    ...base(row),
    actor_type: row.actorType,
    actor_name: row.actorName,
    event_type: row.eventType,
    operation: row.operation,
    operated_at: jsonTime(row.operatedAt),
    state: row.state,
    path: row.path ?? '',
    status_code: row.statusCode ?? 0,
    detail: row.detail,
  };
}

/** Who did what, newest first. */
@ApiTags('Audit')
@ForTenants('refused')
@Controller('api/v1/audits')
export class AuditsController {
  constructor(private readonly database: Database) {}

  @Get()
  @AnswersPage(AuditBody)
  async list(
    @QueryOf(GetAuditsQuery) query: RequestOf<typeof GetAuditsQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<AuditBody[]> {
    const { rows, total } = await pageOfRows(
      this.database.manager,
      Audit,
      {
        actorType: query.actor_type,
        actorName: query.actor_name,
        eventType: query.event_type,
        operation: query.operation,
        state: query.state,
        path: query.path,
        statusCode: query.status_code,
      },
      pageOf(query),
      {},
      'newest first',
    );
    return listAnswer(request, reply, query, { bodies: rows.map(auditBody), total });
  }
}
