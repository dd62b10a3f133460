import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Content } from './content.js';

const CHUNK_BYTES = 256 * 1024;

export interface OriginFile {
  readonly content: Content | Buffer;
  /** Answer ranges with 206; false ignores the Range header and sends 200 with everything. @default true */
  readonly ranges?: boolean;
  /** Send without Content-Length (chunked). @default false */
  readonly unknownLength?: boolean;
  /** Answer with this status and a short text instead of the content. */
  readonly status?: number;
  /** Wait before the response head. @default 0 */
  readonly headDelayMs?: number;
  /** Bound on the sending rate of each response. @default none */
  readonly bytesPerSecond?: number;
  /** Destroy the connection after this many body bytes of a response. */
  readonly breakAfterBytes?: number;
  /** Stop sending, but keep the connection, after this many body bytes of a response. */
  readonly stallAfterBytes?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface OriginRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly status: number;
  /** Body bytes handed to the socket so far. */
  bodyBytes: number;
}

/** An HTTP origin that counts what it gives away and can misbehave on demand. */
export class CountingOrigin {
  readonly requests: OriginRequest[] = [];
  private readonly files = new Map<string, OriginFile>();
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly host: string,
  ) {
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.serve(request, response).catch((error: unknown) => {
        response.destroy(Error.isError(error) ? error : new Error(String(error)));
      });
    });
  }

  /** @param host address to listen on; another one than loopback lets containers reach it */
  static async start(host = '127.0.0.1'): Promise<CountingOrigin> {
    const server = createServer();
    const origin = new CountingOrigin(server, host);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, host, resolve);
    });
    return origin;
  }

  /** Offers a file; the same path can be given again to change its behaviour. Returns its URL. */
  put(path: string, file: OriginFile | Content | Buffer): string {
    const pathname = path.startsWith('/') ? path : `/${path}`;
    this.files.set(pathname, file instanceof Content || Buffer.isBuffer(file) ? { content: file } : file);
    return this.url(pathname);
  }

  url(path: string): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://${this.host.includes(':') ? `[${this.host}]` : this.host}:${port}${path}`;
  }

  /** Body bytes sent, of one path or of all. */
  bodyBytesSent(path?: string): number {
    return this.requestsOf(path).reduce((sum, request) => sum + request.bodyBytes, 0);
  }

  /** Requests, of one path (query ignored) or all. */
  requestsOf(path?: string): OriginRequest[] {
    return this.requests.filter((request) => path === undefined || request.path.split('?', 1)[0] === path);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
    });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const file = this.files.get(path.split('?', 1)[0] ?? '/');
    const plan = planAnswer(file, request);
    const log: OriginRequest = {
      method: request.method ?? 'GET',
      path,
      headers: request.headers,
      status: plan.status,
      bodyBytes: 0,
    };
    this.requests.push(log);
    if (!(await delay(file?.headDelayMs ?? 0, response))) return;
    response.writeHead(plan.status, plan.headers);
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    response.flushHeaders();
    await this.sendBody(response, plan, file, log);
  }

  private async sendBody(
    response: ServerResponse,
    plan: AnswerPlan,
    file: OriginFile | undefined,
    log: OriginRequest,
  ): Promise<void> {
    const startedAt = performance.now();
    for (let position = plan.start; position < plan.end;) {
      const limit = Math.min(
        CHUNK_BYTES,
        plan.end - position,
        (file?.breakAfterBytes ?? Infinity) - log.bodyBytes,
        (file?.stallAfterBytes ?? Infinity) - log.bodyBytes,
      );
      if (limit <= 0) {
        // Only after what was counted has left.
        if (file?.breakAfterBytes !== undefined) response.socket?.destroySoon();
        return;
      }
      const chunk = sliceOf(plan.content, position, position + limit);
      position += chunk.length;
      log.bodyBytes += chunk.length;
      if (!response.write(chunk) && !(await drained(response))) return;
      if (file?.bytesPerSecond !== undefined) {
        const aheadMs = (log.bodyBytes / file.bytesPerSecond) * 1000 - (performance.now() - startedAt);
        if (!(await delay(aheadMs, response))) return;
      }
    }
    response.end();
  }
}

interface AnswerPlan {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly content: Content | Buffer;
  readonly start: number;
  readonly end: number;
}

function planAnswer(file: OriginFile | undefined, request: IncomingMessage): AnswerPlan {
  if (file === undefined || file.status !== undefined) {
    const status = file?.status ?? 404;
    const content = Buffer.from(`status ${status}\n`);
    const headers = { 'content-type': 'text/plain', 'content-length': String(content.length), ...file?.headers };
    return { status, headers, content, start: 0, end: content.length };
  }
  const total = lengthOf(file.content);
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    etag: `"${total}"`,
    ...(file.ranges === false ? {} : { 'accept-ranges': 'bytes' }),
    ...file.headers,
  };
  const range = file.ranges === false ? undefined : parseRange(request.headers.range, total);
  if (range === 'unsatisfiable') {
    return {
      status: 416,
      headers: { 'content-range': `bytes */${total}`, 'content-length': '0' },
      content: Buffer.alloc(0),
      start: 0,
      end: 0,
    };
  }
  const [start, end] = range ?? [0, total];
  if (range !== undefined) headers['content-range'] = `bytes ${start}-${end - 1}/${total}`;
  if (file.unknownLength !== true) headers['content-length'] = String(end - start);
  return { status: range === undefined ? 200 : 206, headers, content: file.content, start, end };
}

function parseRange(header: string | undefined, total: number): [number, number] | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, total - Number(last)) : Number(first);
  const end = first === '' || last === '' ? total : Math.min(total, Number(last) + 1);
  return start >= end ? 'unsatisfiable' : [start, end];
}

function lengthOf(content: Content | Buffer): number {
  return Buffer.isBuffer(content) ? content.length : content.lengthBytes;
}

function sliceOf(content: Content | Buffer, start: number, end: number): Buffer {
  return Buffer.isBuffer(content) ? content.subarray(start, end) : content.slice(start, end);
}

/** Whether the response can take more; false when its connection is gone. */
async function drained(response: ServerResponse): Promise<boolean> {
  if (response.destroyed) return false;
  return new Promise((resolve) => {
    const settle = (alive: boolean) => (): void => {
      response.off('drain', onDrain).off('close', onClose);
      resolve(alive);
    };
    const onDrain = settle(true);
    const onClose = settle(false);
    response.once('drain', onDrain).once('close', onClose);
  });
}

/** Waits, but not longer than there is somebody to answer; false when the connection is gone. */
async function delay(ms: number, response: ServerResponse): Promise<boolean> {
  if (response.destroyed) return false;
  if (ms <= 0) return true;
  const gone = new AbortController();
  const onClose = (): void => {
    gone.abort();
  };
  response.once('close', onClose);
  try {
    await sleep(ms, undefined, { signal: gone.signal });
    return true;
  } catch {
    // Only the signal ends it early.
    return false;
  } finally {
    response.off('close', onClose);
  }
}
