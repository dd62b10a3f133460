import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { DfError } from '@dragonfly/errors';
import { originError } from '../origin-error.js';
import type { SourceRequest } from '../source-backend.js';
import { BodyReader } from './body-reader.js';
import { ConnectionPool } from './connection-pool.js';
import { proxyAuthorization, routeOf, type Connection, type Route } from './connection.js';
import { exchangeHeads } from './http-exchange.js';
import { proxyFor, type ProxySettings } from './proxy-settings.js';
import { RedirectCache, redirectKey } from './redirect-cache.js';
import { encodeRequestHead, passableHeaders, withoutCredentials } from './request-head.js';
import { sentWithSpan } from './request-span.js';
import { keepsAlive, type BodyFraming, type ResponseHead } from './response-head.js';

const MAX_REDIRECTS = 10;
const REDIRECT_STATUS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const FIRST_RETRY_DELAY_MS = 100;
const MAX_RETRY_DELAY_MS = 5_000;
/** An unwanted body (of a redirect or an error) up to this long is read, to keep the connection. */
const MAX_DISCARDED_BYTES = 64 << 10;
/** And only as long as reading it is quicker than a new connection might be. */
const MAX_DISCARD_MS = 250;

export interface HttpClientOptions {
  readonly userAgent: string;
  /** Added to every request that does not have them. */
  readonly extraHeaders: Readonly<Record<string, string>>;
  readonly proxy: ProxySettings;
  /** Further attempts after a connection failed before any byte of an answer. */
  readonly maxRetries: number;
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxConnectionsPerOrigin: number;
  /** How long a temporary redirect (302, 307) is taken as said without asking again; 0 = ask every time. */
  readonly redirectCacheTtlMs: number;
  readonly insecureSkipVerify: boolean;
  readonly caCertificates: readonly string[];
}

/** An answer whose body has not been touched. Call `release` exactly once. */
export interface HttpAnswer {
  /** After redirects. */
  readonly url: URL;
  readonly head: ResponseHead;
  readonly framing: BodyFraming;
  readonly body: BodyReader;
  readonly connection: Connection;
  /** @param reuse the body was read to its end */
  release(reuse: boolean): void;
}

interface Attempt {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers: ReadonlyMap<string, string>;
  readonly range: string | undefined;
  readonly request: SourceRequest;
}

/** Requests without a body, with redirects and retries; bodies come back unread. */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #pool: ConnectionPool;
  readonly #redirects: RedirectCache;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#pool = new ConnectionPool(options);
    this.#redirects = new RedirectCache(options.redirectCacheTtlMs);
  }

  /**
   * @param range value of the Range header
   * @returns the first answer that is no redirect, whatever its status
   * @throws DfError `unavailable`, `deadline-exceeded`, `cancelled`; `origin` for malformed answers and redirects that
   *   lead nowhere; `invalid-argument` for a bad URL or header
   */
  async send(method: 'GET' | 'HEAD', request: SourceRequest, range?: string): Promise<HttpAnswer> {
    return sentWithSpan(method, request, range, () => this.#send(method, request, range));
  }

  async #send(method: 'GET' | 'HEAD', request: SourceRequest, range: string | undefined): Promise<HttpAnswer> {
    const url = parseUrl(request.url);
    const headers = this.#headersOf(request);
    const key = redirectKey(method, url, headers);
    const known = this.#redirects.get(key);
    if (known !== undefined) {
      const knownHeaders = known.leavesOrigin ? withoutCredentials(headers) : headers;
      const answer = await this.#tryKnownTarget({ method, url: known.url, headers: knownHeaders, range, request });
      if (answer !== undefined) return answer;
      this.#redirects.delete(key);
    }
    return this.#follow({ method, url, headers, range, request }, key);
  }

  /** @returns undefined when the address no longer serves: it may have expired, the original one is asked again */
  async #tryKnownTarget(attempt: Attempt): Promise<HttpAnswer | undefined> {
    try {
      const answer = await this.#sendWithRetries(attempt);
      if (answer.head.statusCode < 300) return answer;
      await discard(answer);
    } catch (error) {
      if (attempt.request.signal.aborted) throw error;
    }
    return undefined;
  }

  async #follow(first: Attempt, key: string): Promise<HttpAnswer> {
    let attempt = first;
    let isTemporary = true;
    let leavesOrigin = false;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const answer = await this.#sendWithRetries(attempt);
      const { statusCode, headers } = answer.head;
      const { url } = attempt;
      const location = headers['location'];
      if (!REDIRECT_STATUS.has(statusCode) || location === undefined) {
        if (redirects > 0 && isTemporary && statusCode < 300) this.#redirects.set(key, { url, leavesOrigin });
        return answer;
      }
      await discard(answer);
      isTemporary &&= statusCode === 302 || statusCode === 307;
      const next = redirectTarget(url, location, answer.head);
      if (next.origin !== url.origin) leavesOrigin = true;
      attempt = {
        ...attempt,
        url: next,
        headers: next.origin === url.origin ? attempt.headers : withoutCredentials(attempt.headers),
      };
    }
    throw originError(first.url, { headers: {}, message: `more than ${MAX_REDIRECTS} redirects` });
  }

  close(): void {
    this.#pool.close();
  }

  #headersOf(request: SourceRequest): Map<string, string> {
    const headers = passableHeaders({
      ...lowerNames(this.#options.extraHeaders),
      ...lowerNames(request.headers ?? {}),
    });
    if (!headers.has('user-agent')) headers.set('user-agent', this.#options.userAgent);
    if (!headers.has('accept')) headers.set('accept', '*/*');
    // The stored bytes are served to everybody: they must be the content itself, not one client's encoding of it.
    headers.set('accept-encoding', 'identity');
    return headers;
  }

  async #sendWithRetries(attempt: Attempt): Promise<HttpAnswer> {
    const { signal } = attempt.request;
    let fresh = false;
    for (let retries = 0; ;) {
      const outcome = await this.#sendOnce(attempt, fresh);
      if (!(outcome instanceof FailedAttempt)) return outcome;
      if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
      // The origin had closed a kept connection: no failure of its own, and a new one is not a retry.
      if (outcome.wasStale && !fresh) {
        fresh = true;
        continue;
      }
      if (!outcome.isRepeatable || retries >= this.#options.maxRetries) throw outcome.error;
      const delayMs = Math.min(FIRST_RETRY_DELAY_MS * 2 ** retries, MAX_RETRY_DELAY_MS);
      retries += 1;
      await sleep(delayMs * (0.5 + Math.random() / 2), undefined, { signal }).catch((error: unknown) => {
        throw DfError.from(error);
      });
    }
  }

  async #sendOnce(attempt: Attempt, fresh: boolean): Promise<HttpAnswer | FailedAttempt> {
    const { method, url, request } = attempt;
    const route = this.#routeOf(attempt);
    let connection: Connection;
    try {
      connection = await this.#pool.acquire(route, request.signal, fresh);
    } catch (error) {
      const mapped = DfError.from(error, 'unavailable');
      return new FailedAttempt(mapped, mapped.retryable, false);
    }
    const wasUsed = connection.requestCount > 0;
    const receivedBefore = connection.reader.receivedBytes;
    try {
      const { head, framing } = await exchangeHeads(connection, {
        url,
        method,
        requestHead: this.#requestHead(attempt, route),
        headersTimeoutMs: this.#options.headersTimeoutMs,
        signal: request.signal,
      });
      return {
        url,
        head,
        framing,
        connection,
        body: new BodyReader(connection.reader, framing),
        release: (reuse) => this.#pool.release(route, connection, reuse && keepsAlive(head)),
      };
    } catch (error) {
      const nothingReceived = connection.reader.receivedBytes === receivedBefore;
      this.#pool.release(route, connection, false);
      const mapped = DfError.from(error);
      const isConnectionLoss = mapped.code === 'unavailable' && nothingReceived;
      return new FailedAttempt(mapped, isConnectionLoss, isConnectionLoss && wasUsed);
    }
  }

  #routeOf({ url, request }: Attempt): Route {
    const extra = [...this.#options.caCertificates, ...(request.caCertificates ?? [])];
    return routeOf(url, proxyFor(url, this.#options.proxy), {
      rejectUnauthorized: !(request.insecureSkipVerify ?? this.#options.insecureSkipVerify),
      ca: extra.length === 0 ? undefined : [...tls.rootCertificates, ...extra],
    });
  }

  #requestHead(attempt: Attempt, route: Route): Buffer {
    const { method, url, range } = attempt;
    const headers = new Map(attempt.headers);
    if (range !== undefined) headers.set('range', range);
    const viaProxy = route.proxy !== undefined && route.tls === undefined;
    const credentials = viaProxy && route.proxy !== undefined ? proxyAuthorization(route.proxy) : undefined;
    if (credentials !== undefined) headers.set('proxy-authorization', credentials);
    return encodeRequestHead({ method, url, headers, viaProxy });
  }
}

class FailedAttempt {
  constructor(
    readonly error: DfError,
    readonly isRepeatable: boolean,
    readonly wasStale: boolean,
  ) {}
}

/** Reads a short body to its end, so that the connection can be used again; gives up a long one, or one that dawdles. */
export async function discard(answer: HttpAnswer): Promise<void> {
  const { framing, body, connection } = answer;
  if (framing.kind === 'length' && framing.lengthBytes <= MAX_DISCARDED_BYTES) {
    const timer = setTimeout(() => {
      connection.reader.fail(new DfError('deadline-exceeded', 'an unwanted body took too long'));
    }, MAX_DISCARD_MS);
    // Nobody wants these bytes: a failure only costs the connection.
    await body.readInto(Buffer.allocUnsafe(framing.lengthBytes)).catch(() => 0);
    clearTimeout(timer);
  }
  answer.release(body.isCleanlyOver);
}

/** @throws DfError `invalid-argument` for anything but an absolute http or https URL */
export function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new DfError('invalid-argument', `url ${JSON.stringify(text.slice(0, 200))}: must be an http or https URL`);
  }
  return url;
}

function redirectTarget(from: URL, location: string, head: ResponseHead): URL {
  const next = URL.parse(location, from.href);
  if (next !== null && (next.protocol === 'http:' || next.protocol === 'https:')) return next;
  throw originError(from, {
    statusCode: head.statusCode,
    headers: head.headers,
    message: 'redirects to something that is no http or https URL',
  });
}

function lowerNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
