import { readFileSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { DfError } from '@dragonfly/errors';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Paths that are not the console's. */
const RESERVED = /^\/(o?api|swagger|healthy|readyz|_ping|preheats)(\/|$)/;
const INDEX = 'index.html';

/**
 * Serves a built console at `/`: its files, and its first page for every other path, so that a page can be reloaded
 * and shared (the original redirects to `/`). The real console asks for its files relative to the page, hence the base.
 * @throws DfError `invalid-argument` when there is no console in the directory
 */
export async function serveConsole(fastify: FastifyInstance, directory: string): Promise<void> {
  const page = firstPage(directory);
  await fastify.register(fastifyStatic, { root: directory, serve: false });
  fastify.addHook('onRequest', async (request, reply) => {
    const path = pathOf(request.url);
    if ((request.method !== 'GET' && request.method !== 'HEAD') || path === undefined || RESERVED.test(path)) {
      return;
    }
    if (path !== '/' && path !== `/${INDEX}` && isFile(join(directory, path))) {
      return reply.sendFile(path.slice(1));
    }
    return reply.header('cache-control', 'no-cache').type('text/html; charset=utf-8').send(page);
  });
}

function firstPage(directory: string): string {
  try {
    const text = readFileSync(join(directory, INDEX), 'utf8');
    return /<base\s/i.test(text) ? text : text.replace(/<head[^>]*>/i, (head) => `${head}<base href="/">`);
  } catch (error) {
    throw new DfError('invalid-argument', `server.rest.consoleDir: ${directory} holds no ${INDEX}`, { cause: error });
  }
}

/** The path without dots and without its query; undefined for what is no path. */
function pathOf(url: string): string | undefined {
  try {
    const path = normalize(decodeURIComponent(url.split('?', 1)[0] ?? '/'));
    return path.startsWith('/') && !path.includes('\0') ? path : undefined;
  } catch (error) {
    if (error instanceof URIError) {
      return undefined;
    }
    throw error;
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
