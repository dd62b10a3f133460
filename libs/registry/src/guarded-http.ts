import { DfError } from '@dragonfly/errors';
import { withSpan } from '@dragonfly/telemetry/spans';
import type { Agent } from 'undici';
import { guardedAgent, type GuardedAgentOptions, undici } from './guarded-agent.js';

/** Statuses that name another place in `location`. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Headers that are meant for one origin and no other. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);

export interface GuardedRequest {
  readonly url: string;
  /** @default GET */
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For the whole, redirects included, in ms. @default 60000 */
  readonly timeoutMs?: number;
  /** A longer answer is an error. @default 4 MiB */
  readonly maxBodyBytes?: number;
  /** Redirects followed; only GET and HEAD are. @default 5 */
  readonly maxRedirects?: number;
  readonly signal?: AbortSignal;
}

export interface GuardedResponse {
  readonly statusCode: number;
  /** Lower case names; a repeated header as one value, joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Where the answer came from after redirects. */
  readonly url: string;
}

/** Largest answer that is read: manifests are bounded to so much by registries. */
export const DEFAULT_MAX_BODY_BYTES = 4 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_REDIRECTS = 5;

/** HTTP for requests whose URL somebody else chose: image registries, web hooks. Bounded in time, size and redirects. */
export class GuardedHttp {
  readonly #options: GuardedAgentOptions;
  #agent: Agent | undefined;

  constructor(options: GuardedAgentOptions) {
    this.#options = options;
  }

  /**
   * Sends one request and reads the whole answer, whatever its status.
   * @throws DfError `invalid-argument` (no http URL), `permission-denied` (refused address, redirect from https to http),
   *   `resource-exhausted` (answer too long), `unavailable`, `deadline-exceeded`, `cancelled`, `origin` (too many or
   *   broken redirects)
   */
  async request(options: GuardedRequest): Promise<GuardedResponse> {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
    const method = options.method ?? 'GET';
    const mayFollow = method !== 'POST';
    let redirectsLeft = options.maxRedirects ?? DEFAULT_MAX_REDIRECTS;
    let url = httpUrl(options.url);
    let headers = { ...options.headers };
    for (;;) {
      const answer = await this.#exchange(url, { ...options, method, headers }, signal);
      if (!mayFollow || !REDIRECTS.has(answer.statusCode)) return answer;
      if (redirectsLeft-- <= 0) throw new DfError('origin', `${plain(url)}: too many redirects`);
      const next = redirectTarget(url, answer.headers['location']);
      if (next.origin !== url.origin) {
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => !CREDENTIAL_HEADERS.has(name.toLowerCase())),
        );
      }
      url = next;
    }
  }

  /** Closes all connections; requests under way fail. */
  async close(): Promise<void> {
    await this.#agent?.destroy();
  }

  /** Who is asked is told nothing of the trace: it is somebody else's server. */
  async #exchange(url: URL, options: GuardedRequest, signal: AbortSignal): Promise<GuardedResponse> {
    const method = options.method ?? 'GET';
    const attributes = { 'http.request.method': method, 'url.full': plain(url), 'server.address': url.host };
    return withSpan(method, { kind: 'client', attributes }, async (span) => {
      const answer = await this.#ask(url, options, signal);
      span?.set({ 'http.response.status_code': answer.statusCode });
      return answer;
    });
  }

  async #ask(url: URL, options: GuardedRequest, signal: AbortSignal): Promise<GuardedResponse> {
    const maxBodyBytes = options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    try {
      this.#agent ??= guardedAgent(this.#options);
      const answer = await undici().request(url, {
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        body: options.body ?? null,
        signal,
        dispatcher: this.#agent,
      });
      const chunks: Buffer[] = [];
      let lengthBytes = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        lengthBytes += chunk.length;
        if (lengthBytes > maxBodyBytes) {
          throw new DfError('resource-exhausted', `answer is longer than ${maxBodyBytes} bytes`);
        }
        chunks.push(chunk);
      }
      return {
        statusCode: answer.statusCode,
        headers: flatHeaders(answer.headers),
        body: Buffer.concat(chunks),
        url: url.href,
      };
    } catch (error) {
      if (signal.aborted) throw abortError(url, signal, error);
      throw failure(url, error);
    }
  }
}

/** A URL as it may be shown: without user information and query, which hold secrets. */
export function plain(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** @throws DfError `invalid-argument` */
export function httpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new DfError('invalid-argument', `${JSON.stringify(text.slice(0, 256))} is no http or https URL`);
  }
  return url;
}

function redirectTarget(from: URL, location: string | undefined): URL {
  const target = location === undefined ? null : URL.parse(location, from.href);
  if (target === null || (target.protocol !== 'http:' && target.protocol !== 'https:')) {
    throw new DfError('origin', `${plain(from)}: redirect without a usable location`);
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    throw new DfError('permission-denied', `${plain(from)}: redirect from https to http is refused`);
  }
  return target;
}

function flatHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

function abortError(url: URL, signal: AbortSignal, cause: unknown): DfError {
  const reason = DfError.from(signal.reason, 'cancelled');
  const what = reason.code === 'deadline-exceeded' ? 'no complete answer in time' : 'request was cancelled';
  return new DfError(reason.code === 'deadline-exceeded' ? reason.code : 'cancelled', `${plain(url)}: ${what}`, {
    cause,
  });
}

/** Names the URL, and keeps the code of our own error wherever undici has wrapped it. */
function failure(url: URL, error: unknown): DfError {
  let own: unknown = error;
  while (Error.isError(own) && own.name !== 'DfError' && Error.isError(own.cause)) own = own.cause;
  const isOwn = Error.isError(own) && own.name === 'DfError';
  const known = DfError.from(isOwn ? own : error, codeOfUndici(error));
  return new DfError(known.code, `${plain(url)}: ${known.message}`, { cause: error, details: known.details });
}

/** undici's own codes, where they mean something else than a broken connection. */
function codeOfUndici(error: unknown): 'invalid-argument' | 'deadline-exceeded' | 'unavailable' {
  const code = Error.isError(error) && 'code' in error ? error.code : undefined;
  if (code === 'UND_ERR_INVALID_ARG') return 'invalid-argument';
  return code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT' ? 'deadline-exceeded' : 'unavailable';
}
