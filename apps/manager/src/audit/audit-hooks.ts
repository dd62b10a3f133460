import type { FastifyInstance, FastifyRequest } from 'fastify';
import { actorOf } from '../auth/caller.js';
import type { AuditEntry, AuditLog } from './audit-log.js';

const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** What is worth an entry: the API, not pages, health or metrics. */
const AUDITED = /^\/o?api\//;

/** Records every request of the API; answers to changes wait for their entry. */
export function auditRequests(fastify: FastifyInstance, audit: AuditLog): void {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (READING_METHODS.has(request.method) || !AUDITED.test(request.url)) {
      done(null, payload);
      return;
    }
    audit.recordAndWait(entryOf(request, reply.statusCode)).then(() => done(null, payload), done);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    if (READING_METHODS.has(request.method) && AUDITED.test(request.url)) {
      audit.record(entryOf(request, reply.statusCode));
    }
    done();
  });
}

function entryOf(request: FastifyRequest, statusCode: number): AuditEntry {
  return {
    actor: actorOf(request),
    method: request.method,
    path: request.url.split('?', 1)[0] ?? '',
    statusCode,
    detail: { ip: request.ip },
  };
}
