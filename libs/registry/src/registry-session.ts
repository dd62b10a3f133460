import { createHash, timingSafeEqual } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import { type Challenge, parseChallenges } from './challenge.js';
import { type GuardedHttp, type GuardedResponse, httpUrl, plain } from './guarded-http.js';
import type { ManifestUrl } from './manifest-url.js';
import { MANIFEST_ACCEPT, type ParsedManifest, parseManifest } from './manifest.js';
import { nextPage } from './next-page.js';

/** Longest manifest, the limit that registries have themselves. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_TOKEN_ANSWER_BYTES = 256 * 1024;
const MAX_TOKEN_LENGTH = 64 * 1024;
/** Pages of tags that are read; a page has what the registry likes, usually 100 to 1000. */
export const MAX_TAG_PAGES = 50;

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

export interface RegistrySessionOptions {
  readonly http: GuardedHttp;
  readonly image: ManifestUrl;
  /** Sent with every request to the registry. With `authorization` among them nothing else is tried. */
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: RegistryCredentials | undefined;
  /** For each request, in ms. */
  readonly requestTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Fetches manifests of one repository, signing in when the registry asks for it. */
export class RegistrySession {
  readonly #options: RegistrySessionOptions;
  #authorization: string | undefined;
  /** One sign-in at a time, shared by requests that run in parallel. */
  #signingIn: Promise<string> | undefined;

  constructor(options: RegistrySessionOptions) {
    this.#options = options;
    const given = Object.entries(options.headers).find(([name]) => name.toLowerCase() === 'authorization');
    this.#authorization = given?.[1];
  }

  /** What made the registry answer; undefined when it asks for nothing. */
  get authorization(): string | undefined {
    return this.#authorization;
  }

  /**
   * @param reference a tag or a digest; the content of a digest is checked
   * @throws DfError `failed to authenticate with registry: …` or `failed to pull image manifest: …`
   */
  async manifest(reference: string): Promise<ParsedManifest> {
    const { image } = this.#options;
    const url = `${image.origin}/v2/${image.repository}/manifests/${reference}`;
    const answer = await this.#get(url);
    try {
      if (reference.includes(':')) checkDigest(answer.body, reference);
      return parseManifest(answer.body, answer.headers['content-type'] ?? '');
    } catch (error) {
      throw prefixed('failed to pull image manifest', error);
    }
  }

  /**
   * Tags of the repository, of at most {@link MAX_TAG_PAGES} pages.
   * @throws DfError as {@link manifest} does
   */
  async tags(): Promise<string[]> {
    const { image } = this.#options;
    const found: string[] = [];
    let url: string | undefined = `${image.origin}/v2/${image.repository}/tags/list`;
    for (let page = 0; url !== undefined && page < MAX_TAG_PAGES; page += 1) {
      const answer: GuardedResponse = await this.#get(url);
      found.push(...tagsIn(answer.body));
      url = nextPage(answer.headers['link'], image.origin);
    }
    return found;
  }

  /** Digest of the manifest that a tag names now. @throws DfError as {@link manifest} does */
  async digest(tag: string): Promise<string> {
    const { image } = this.#options;
    const { body } = await this.#get(`${image.origin}/v2/${image.repository}/manifests/${tag}`);
    return `sha256:${createHash('sha256').update(body).digest('hex')}`;
  }

  async #get(url: string): Promise<GuardedResponse> {
    const used = this.#authorization;
    const first = await this.#fetch(url, used);
    if (first.statusCode !== 401) return accepted(url, first);
    if (used !== undefined && this.#authorization === used) {
      throw new DfError('unauthenticated', 'failed to authenticate with registry: the credentials were refused');
    }
    if (this.#authorization === undefined) {
      this.#signingIn ??= this.#signIn(first.headers['www-authenticate'] ?? '');
      this.#authorization = await this.#signingIn;
    }
    const second = await this.#fetch(url, this.#authorization);
    if (second.statusCode === 401) {
      throw new DfError('unauthenticated', 'failed to authenticate with registry: the credentials were refused');
    }
    return accepted(url, second);
  }

  async #fetch(url: string, authorization: string | undefined): Promise<GuardedResponse> {
    const { http, headers, requestTimeoutMs, signal } = this.#options;
    const others = Object.entries(headers).filter(
      ([name]) => !['authorization', 'accept'].includes(name.toLowerCase()),
    );
    try {
      return await http.request({
        url,
        headers: {
          ...Object.fromEntries(others),
          accept: MANIFEST_ACCEPT,
          ...(authorization === undefined ? {} : { authorization }),
        },
        timeoutMs: requestTimeoutMs,
        maxBodyBytes: MAX_MANIFEST_BYTES,
        signal,
      });
    } catch (error) {
      throw prefixed('failed to pull image manifest', error);
    }
  }

  async #signIn(header: string): Promise<string> {
    try {
      const challenges = parseChallenges(header);
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
      if (bearer !== undefined) return `Bearer ${await this.#token(bearer)}`;
      const { credentials } = this.#options;
      if (!challenges.some(({ scheme }) => scheme === 'basic')) {
        throw new DfError('unauthenticated', 'the registry offers neither Basic nor Bearer');
      }
      if (credentials === undefined) throw new DfError('unauthenticated', 'user name and password are needed');
      return basic(credentials);
    } catch (error) {
      throw prefixed('failed to authenticate with registry', error);
    }
  }

  async #token(challenge: Challenge): Promise<string> {
    const { http, image, credentials, requestTimeoutMs, signal } = this.#options;
    const realm = challenge.parameters['realm'];
    if (realm === undefined) throw new DfError('unauthenticated', 'the Bearer challenge names no realm');
    const url = httpUrl(realm);
    if (credentials !== undefined && url.protocol === 'http:' && image.origin.startsWith('https:')) {
      throw new DfError('permission-denied', `the password is not sent in clear to ${plain(url)}`);
    }
    const { service } = challenge.parameters;
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', challenge.parameters['scope'] ?? `repository:${image.repository}:pull`);
    if (credentials !== undefined) url.searchParams.set('account', credentials.username);
    const answer = await http.request({
      url: url.href,
      headers: {
        accept: 'application/json',
        ...(credentials === undefined ? {} : { authorization: basic(credentials) }),
      },
      timeoutMs: requestTimeoutMs,
      maxBodyBytes: MAX_TOKEN_ANSWER_BYTES,
      signal,
    });
    if (answer.statusCode !== 200) {
      const code = answer.statusCode === 401 || answer.statusCode === 403 ? 'unauthenticated' : 'unavailable';
      throw new DfError(code, `${plain(url)} answered ${answer.statusCode}`);
    }
    return tokenIn(answer.body, url);
  }
}

function tokenIn(body: Buffer, url: URL): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new DfError('unauthenticated', `${plain(url)} answered no JSON`, { cause: error });
  }
  const fields = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>;
  const token = [fields['token'], fields['access_token']].find((value) => typeof value === 'string' && value !== '');
  // It becomes a header of ours and of the peers.
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH || !/^[\x21-\x7e]+$/.test(token)) {
    throw new DfError('unauthenticated', `${plain(url)} answered no usable token`);
  }
  return token;
}

function accepted(url: string, answer: GuardedResponse): GuardedResponse {
  const { statusCode } = answer;
  if (statusCode === 200) return answer;
  const code =
    statusCode === 404
      ? 'not-found'
      : statusCode === 403
        ? 'permission-denied'
        : statusCode === 429
          ? 'resource-exhausted'
          : statusCode >= 500
            ? 'unavailable'
            : 'origin';
  throw new DfError(code, `failed to pull image manifest: ${plain(httpUrl(url))} answered ${statusCode}`, {
    details: { statusCode },
  });
}

function checkDigest(body: Buffer, digest: string): void {
  const [algorithm = '', expected = ''] = digest.split(':');
  if (algorithm !== 'sha256' && algorithm !== 'sha512') {
    throw new DfError('invalid-argument', `digest algorithm ${algorithm} is not known`);
  }
  const actual = createHash(algorithm).update(body).digest('hex');
  const isSame = actual.length === expected.length && timingSafeEqual(Buffer.from(actual), Buffer.from(expected));
  if (!isSame) throw new DfError('data-loss', `content of ${digest} has the digest ${algorithm}:${actual}`);
}

function basic({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function prefixed(prefix: string, error: unknown): DfError {
  const known = DfError.from(error);
  return new DfError(known.code, `${prefix}: ${known.message}`, { cause: error, details: known.details });
}

function tagsIn(body: Buffer): string[] {
  try {
    const { tags } = JSON.parse(body.toString('utf8')) as { tags?: unknown };
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
  } catch (error) {
    throw new DfError('origin', 'the list of tags is no JSON', { cause: error });
  }
}
