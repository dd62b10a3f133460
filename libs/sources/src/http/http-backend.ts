import { DfError } from '@dragonfly/errors';
import { originError } from '../origin-error.js';
import {
  SourceBackend,
  type ByteRange,
  type RangeRequest,
  type SourceBody,
  type SourceInfo,
  type SourceRequest,
} from '../source-backend.js';
import { parseContentRange } from './content-range.js';
import { HttpBody } from './http-body.js';
import { discard, HttpClient, type HttpAnswer, type HttpClientOptions } from './http-client.js';
import { contentLengthOf } from './response-head.js';

export type HttpBackendOptions = Partial<HttpClientOptions>;

const DEFAULTS: HttpClientOptions = {
  userAgent: 'dragonfly/0.1.0',
  extraHeaders: {},
  proxy: {},
  maxRetries: 1,
  connectTimeoutMs: 3_000,
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  keepAliveMs: 4_000,
  maxConnectionsPerOrigin: 64,
  redirectCacheTtlMs: 600_000,
  insecureSkipVerify: false,
  caCertificates: [],
};

/** http and https origins. */
export class HttpBackend extends SourceBackend {
  readonly schemes: readonly string[] = ['http', 'https'];
  readonly #client: HttpClient;

  constructor(options: HttpBackendOptions = {}) {
    super();
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#client = new HttpClient({ ...DEFAULTS, ...Object.fromEntries(given) });
  }

  /**
   * HEAD first: it costs no body byte, also at an origin that ignores ranges. Where HEAD is refused (pre-signed URLs,
   * simple servers) or promises ranges without a length, a GET of the first byte decides.
   */
  async stat(request: SourceRequest): Promise<SourceInfo> {
    const head = await this.#tryHead(request);
    if (head?.head.statusCode === 200) {
      const { headers } = head.head;
      const length = contentLengthOf(head.head);
      const announcesRanges = (headers['accept-ranges'] ?? '').toLowerCase().includes('bytes');
      if (length !== undefined || !announcesRanges) {
        return infoOf(head, length, announcesRanges && length !== undefined);
      }
    }
    return this.#statByRange(request);
  }

  async read(request: RangeRequest): Promise<SourceBody> {
    const { range } = request;
    const answer = await this.#client.send('GET', request, range === undefined ? undefined : rangeHeader(range));
    try {
      const shape = range === undefined ? wholeOf(answer) : partOf(answer, range);
      checkUnchanged(answer, request, shape.totalLengthBytes);
      const { url, head, body, connection } = answer;
      return new HttpBody({
        ...shape,
        url,
        head,
        body,
        reader: connection.reader,
        signal: request.signal,
        release: (reuse) => answer.release(reuse),
      });
    } catch (error) {
      await discard(answer);
      throw error;
    }
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  /** @returns undefined when the origin answers GET at best; its answer to that counts then */
  async #tryHead(request: SourceRequest): Promise<HttpAnswer | undefined> {
    try {
      const answer = await this.#client.send('HEAD', request);
      answer.release(true);
      return answer;
    } catch (error) {
      const { code, details } = DfError.from(error);
      if (code === 'origin' || (code === 'unavailable' && details['isConnected'] === true)) return undefined;
      throw error;
    }
  }

  async #statByRange(request: SourceRequest): Promise<SourceInfo> {
    const answer = await this.#client.send('GET', request, rangeHeader({ startBytes: 0, lengthBytes: 1 }));
    try {
      const { statusCode, headers } = answer.head;
      const contentRange = parseContentRange(headers['content-range'] ?? '');
      if (statusCode === 416) {
        // An empty content has no first byte.
        if (contentRange?.kind === 'unsatisfied' && contentRange.totalBytes === 0) return infoOf(answer, 0, false);
        return await this.#statByGet(request);
      }
      if (statusCode === 206 && contentRange?.kind === 'part' && contentRange.startBytes === 0) {
        return infoOf(answer, contentRange.totalBytes, true);
      }
      if (statusCode === 200) return infoOf(answer, lengthOfWhole(answer), false);
      throw refusal(answer, statusCode === 206 ? 'a partial answer without a usable Content-Range' : undefined);
    } finally {
      await discard(answer);
    }
  }

  /** The origin refuses even the first byte as a range: ask for everything and hang up after the head. */
  async #statByGet(request: SourceRequest): Promise<SourceInfo> {
    const answer = await this.#client.send('GET', request);
    try {
      if (answer.head.statusCode !== 200) throw refusal(answer);
      return infoOf(answer, lengthOfWhole(answer), false);
    } finally {
      await discard(answer);
    }
  }
}

function rangeHeader(range: ByteRange): string {
  const { startBytes, lengthBytes } = range;
  if (!Number.isSafeInteger(startBytes) || startBytes < 0 || !Number.isSafeInteger(lengthBytes) || lengthBytes < 1) {
    throw new DfError('invalid-argument', `range of ${lengthBytes} bytes at ${startBytes}: must be at least one byte`);
  }
  return `bytes=${startBytes}-${startBytes + lengthBytes - 1}`;
}

interface BodyShape {
  readonly isPartial: boolean;
  readonly contentLengthBytes: number | undefined;
  readonly totalLengthBytes: number | undefined;
}

function wholeOf(answer: HttpAnswer): BodyShape {
  if (answer.head.statusCode !== 200) throw refusal(answer);
  const length = lengthOfWhole(answer);
  return { isPartial: false, contentLengthBytes: length, totalLengthBytes: length };
}

/** A 206 is exactly the part that was asked for; a 200 is the whole content, whatever was asked for. */
function partOf(answer: HttpAnswer, range: ByteRange): BodyShape {
  const { statusCode, headers } = answer.head;
  if (statusCode === 200) return wholeOf(answer);
  if (statusCode !== 206) throw refusal(answer);
  const found = parseContentRange(headers['content-range'] ?? '');
  const endBytes = range.startBytes + range.lengthBytes - 1;
  if (found?.kind !== 'part' || found.startBytes !== range.startBytes || found.endBytes !== endBytes) {
    const value = headers['content-range'] ?? 'none';
    throw refusal(answer, `bytes ${range.startBytes}-${endBytes} were asked for, Content-Range is "${value}"`);
  }
  const { framing } = answer;
  if (framing.kind === 'none' || (framing.kind === 'length' && framing.lengthBytes !== range.lengthBytes)) {
    const length = framing.kind === 'length' ? framing.lengthBytes : 0;
    throw refusal(answer, `a part of ${range.lengthBytes} bytes comes with a length of ${length}`);
  }
  return { isPartial: true, contentLengthBytes: range.lengthBytes, totalLengthBytes: found.totalBytes };
}

/** Undefined for a body that ends where it ends. */
function lengthOfWhole(answer: HttpAnswer): number | undefined {
  switch (answer.framing.kind) {
    case 'length':
      return answer.framing.lengthBytes;
    case 'none':
      return 0;
    case 'chunked':
    case 'until-close':
      return undefined;
  }
}

/**
 * Compares length and ETag with an earlier answer. The conditional If-Range is not used: an origin that changed would
 * send everything, and origins behind load balancers often mishandle it.
 */
function checkUnchanged(answer: HttpAnswer, request: SourceRequest, totalLengthBytes: number | undefined): void {
  const { expected } = request;
  const { headers } = answer.head;
  if (expected === undefined) return;
  const differences = [
    differs('length', expected.contentLengthBytes, totalLengthBytes),
    differs('ETag', strongForm(expected.etag), strongForm(headers['etag'])),
    expected.etag === undefined ? differs('Last-Modified', expected.lastModified, headers['last-modified']) : undefined,
  ].filter((difference) => difference !== undefined);
  if (differences.length === 0) return;
  throw originError(answer.url, {
    statusCode: answer.head.statusCode,
    headers,
    message: `the content has changed at the origin: ${differences.join(', ')}`,
    changed: true,
  });
}

function differs<T extends number | string>(
  name: string,
  expected: T | undefined,
  found: T | undefined,
): string | undefined {
  if (expected === undefined || found === undefined || expected === found) return undefined;
  return `${name} was ${expected}, is ${found}`;
}

/** A weak validator and its strong form name the same version here. */
function strongForm(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '');
}

function infoOf(answer: HttpAnswer, contentLengthBytes: number | undefined, supportsRange: boolean): SourceInfo {
  const { statusCode, headers } = answer.head;
  return {
    contentLengthBytes,
    supportsRange,
    statusCode,
    headers,
    etag: headers['etag'],
    lastModified: headers['last-modified'],
  };
}

function refusal(answer: HttpAnswer, message?: string): DfError {
  const { statusCode, reason, headers } = answer.head;
  return originError(answer.url, {
    statusCode,
    headers,
    message: message ?? `answered ${`${statusCode} ${reason}`.trim()}`,
  });
}
