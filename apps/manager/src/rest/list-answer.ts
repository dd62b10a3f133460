import type { FastifyReply, FastifyRequest } from 'fastify';
import { linkHeader, pageOf } from './pagination.js';

/** Sets the Link header of a list and hands out its body. */
export function listAnswer<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  query: { page?: number; per_page?: number },
  { bodies, total }: { bodies: T[]; total: number },
): T[] {
  void reply.header('link', linkHeader(request.url, pageOf(query), total));
  return bodies;
}
