import { DfError } from '@dragonfly/errors';
import * as oidc from 'openid-client';
import { isLoopback } from './loopback.js';

/** What a person's provider must remember between the two halves of a sign-in. */
export interface PendingSignIn {
  readonly provider: string;
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** Who a provider says that somebody is. */
export interface Identity {
  /** The provider's id of the person. */
  readonly subject: string;
  readonly name: string;
  readonly email: string | undefined;
  readonly isEmailVerified: boolean;
  readonly avatar: string;
}

/** A provider as it is set up here. */
export interface ProviderSettings {
  readonly name: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Of an OpenID provider. */
  readonly issuer: string | undefined;
  readonly scopes: readonly string[];
}

/** Where GitHub is: other addresses for GitHub Enterprise. */
export interface GithubAddresses {
  readonly authorizeURL: string;
  readonly tokenURL: string;
  readonly apiURL: string;
}

/** Where the providers are that need no address of their own. */
export interface BuiltInAddresses {
  readonly github: GithubAddresses;
  readonly googleIssuer: string;
}

const GITHUB = 'github';
const GOOGLE = 'google';
/** Each request to a provider. */
const TIMEOUT_S = 10;

/** Whether we know where the provider is. */
export function isBuiltIn(name: string): boolean {
  return name === GITHUB || name === GOOGLE;
}

/** Speaks OAuth 2 and OpenID Connect with one provider: authorization code with state, PKCE and, for OpenID, a nonce. */
export class SignInProvider {
  constructor(
    private readonly settings: ProviderSettings,
    private readonly builtIn: BuiltInAddresses,
  ) {}

  /**
   * Where to send the person, and what to remember until it comes back.
   * @throws DfError `unavailable` when the provider cannot be reached
   */
  async begin(redirectUri: string): Promise<{ url: string; pending: PendingSignIn }> {
    const pending: PendingSignIn = {
      provider: this.settings.name,
      redirectUri,
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      codeVerifier: oidc.randomPKCECodeVerifier(),
    };
    const url = oidc.buildAuthorizationUrl(await this.configuration(), {
      redirect_uri: redirectUri,
      scope: this.scope(),
      state: pending.state,
      code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
      code_challenge_method: 'S256',
      ...(this.isGithub ? {} : { nonce: pending.nonce }),
    });
    return { url: url.href, pending };
  }

  /**
   * Who came back.
   * @param query of the request that the person came back with, with `code` and `state`
   * @throws DfError `unauthenticated` when the provider does not confirm it, `unavailable` when it cannot be reached
   */
  async finish(query: URLSearchParams, pending: PendingSignIn): Promise<Identity> {
    const url = new URL(pending.redirectUri);
    url.search = query.toString();
    try {
      const configuration = await this.configuration();
      const tokens = await oidc.authorizationCodeGrant(configuration, url, {
        pkceCodeVerifier: pending.codeVerifier,
        expectedState: pending.state,
        ...(this.isGithub ? {} : { expectedNonce: pending.nonce, idTokenExpected: true }),
      });
      if (this.isGithub) {
        return await this.githubIdentity(tokens.access_token);
      }
      const claims = tokens.claims();
      const subject = claims?.sub ?? '';
      const info = await oidc.fetchUserInfo(configuration, tokens.access_token, subject);
      return openIdIdentity(subject, { ...claims, ...info });
    } catch (error) {
      throw signInFailure(error);
    }
  }

  private get isGithub(): boolean {
    return this.settings.name === GITHUB;
  }

  private scope(): string {
    if (this.isGithub) {
      return 'read:user user:email';
    }
    return [...new Set(['openid', 'email', 'profile', ...this.settings.scopes])].join(' ');
  }

  private async configuration(): Promise<oidc.Configuration> {
    const { clientId, clientSecret, name, issuer } = this.settings;
    if (this.isGithub) {
      const { authorizeURL, tokenURL } = this.builtIn.github;
      const configuration = new oidc.Configuration(
        { issuer: new URL(authorizeURL).origin, authorization_endpoint: authorizeURL, token_endpoint: tokenURL },
        clientId,
        clientSecret,
      );
      configuration.timeout = TIMEOUT_S;
      allowLoopback(configuration, tokenURL);
      return configuration;
    }
    const address = name === GOOGLE ? this.builtIn.googleIssuer : (issuer ?? '');
    try {
      return await oidc.discovery(new URL(address), clientId, clientSecret, undefined, {
        timeout: TIMEOUT_S,
        execute: isLoopback(address) ? [oidc.allowInsecureRequests] : [],
      });
    } catch (error) {
      throw signInFailure(error);
    }
  }

  /** GitHub is no OpenID provider: its own API says who somebody is, and which mail address it has verified. */
  private async githubIdentity(accessToken: string): Promise<Identity> {
    const user = await this.githubRequest<Record<string, unknown>>('/user', accessToken);
    const emails = await this.githubRequest<{ email: string; primary: boolean; verified: boolean }[]>(
      '/user/emails',
      accessToken,
    );
    const email = emails.find((one) => one.primary && one.verified) ?? emails.find((one) => one.verified);
    return {
      subject: String(user['id']),
      name: text(user['login']),
      email: email?.email,
      isEmailVerified: email !== undefined,
      avatar: text(user['avatar_url']),
    };
  }

  private async githubRequest<T>(path: string, accessToken: string): Promise<T> {
    const response = await fetch(`${this.builtIn.github.apiURL}${path}`, {
      headers: { authorization: `Bearer ${accessToken}`, accept: 'application/vnd.github+json' },
      signal: AbortSignal.timeout(TIMEOUT_S * 1_000),
    });
    if (!response.ok) {
      throw new DfError('unauthenticated', `${path} of the provider answered ${response.status}`);
    }
    return (await response.json()) as T;
  }
}

function openIdIdentity(subject: string, claims: Record<string, unknown>): Identity {
  const email = text(claims['email']);
  return {
    subject,
    name: text(claims['preferred_username']) || text(claims['name']) || email.split('@', 1)[0] || subject,
    email: email || undefined,
    isEmailVerified: claims['email_verified'] === true,
    avatar: text(claims['picture']),
  };
}

function allowLoopback(configuration: oidc.Configuration, address: string): void {
  if (isLoopback(address)) {
    oidc.allowInsecureRequests(configuration);
  }
}

/** Codes of the library that mean "could not be reached or understood"; everything else is a refusal. */
const UNREACHABLE: ReadonlySet<string> = new Set(['OAUTH_TIMEOUT', 'OAUTH_ABORT', 'OAUTH_RESPONSE_IS_NOT_CONFORM']);

function signInFailure(error: unknown): DfError {
  if (error instanceof DfError) {
    return error;
  }
  if (causesOf(error).some(isUnreachable)) {
    return new DfError('unavailable', 'the sign-in provider cannot be reached', { cause: error, retryable: true });
  }
  return new DfError('unauthenticated', `the sign-in provider refused: ${DfError.from(error).message}`, {
    cause: error,
  });
}

/** The error and what is behind it, a bounded number. */
function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let cause = error; cause && causes.length < 8; cause = (cause as { cause?: unknown }).cause) {
    causes.push(cause);
  }
  return causes;
}

function isUnreachable(error: unknown): boolean {
  const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
  return (typeof code === 'string' && UNREACHABLE.has(code)) || name === 'TimeoutError' || message === 'fetch failed';
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
