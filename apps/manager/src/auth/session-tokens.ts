import { DfError } from '@dragonfly/errors';
import { CompactSign, compactVerify } from 'jose';

export interface SessionToken {
  token: string;
  expiresAt: Date;
}

export interface SessionClaims {
  userId: number;
  issuedAt: Date;
  expiresAt: Date;
}

/** Tokens whose checked signature is remembered: checking one costs more than the rest of a request. */
const MAX_CHECKED_TOKENS = 10_000;

/**
 * Session tokens of the REST API: HS256 JWTs with the claims `id`, `exp` and `orig_iat` (Unix seconds), as the console
 * and existing automation know them.
 */
export class SessionTokens {
  /** Claims of tokens whose signature has been checked; the times in them are looked at each time. */
  private readonly checked = new Map<string, SessionClaims>();

  constructor(
    private readonly key: Uint8Array,
    /** How long a token is good, in ms. */
    readonly lifetimeMs: number,
    /** How long after it was issued a token can be exchanged for a new one, in ms, even when it is over. */
    private readonly refreshWindowMs: number,
    private readonly now: () => Date = () => new Date(),
  ) {}

  async issue(userId: number): Promise<SessionToken> {
    const issuedAtS = Math.floor(this.now().getTime() / 1_000);
    const expiresAtS = issuedAtS + Math.floor(this.lifetimeMs / 1_000);
    const payload = JSON.stringify({ exp: expiresAtS, id: userId, orig_iat: issuedAtS });
    const token = await new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .sign(this.key);
    return { token, expiresAt: new Date(expiresAtS * 1_000) };
  }

  /** @throws DfError `unauthenticated` for a token that is not ours, is malformed or is over */
  async verify(token: string): Promise<SessionClaims> {
    const claims = this.checked.get(token) ?? (await this.read(token));
    if (claims.expiresAt <= this.now()) {
      throw new DfError('unauthenticated', 'session is over');
    }
    return claims;
  }

  /**
   * Claims of a token that may be exchanged for a new one.
   * @throws DfError `unauthenticated`
   */
  async verifyForRefresh(token: string): Promise<SessionClaims> {
    const claims = await this.read(token);
    if (claims.issuedAt.getTime() + this.refreshWindowMs < this.now().getTime()) {
      throw new DfError('unauthenticated', 'session is too old to be renewed');
    }
    return claims;
  }

  private async read(token: string): Promise<SessionClaims> {
    const known = this.checked.get(token);
    if (known) {
      return known;
    }
    const claims = await this.check(token);
    if (this.checked.size >= MAX_CHECKED_TOKENS) {
      this.checked.clear();
    }
    this.checked.set(token, claims);
    return claims;
  }

  private async check(token: string): Promise<SessionClaims> {
    let claims: unknown;
    try {
      const { payload } = await compactVerify(token, this.key, { algorithms: ['HS256'] });
      claims = JSON.parse(Buffer.from(payload).toString());
    } catch (error) {
      throw new DfError('unauthenticated', 'session token is not valid', { cause: error });
    }
    const { id, exp, orig_iat: issued } = (claims ?? {}) as Record<string, unknown>;
    if (!Number.isSafeInteger(id) || typeof exp !== 'number' || typeof issued !== 'number') {
      throw new DfError('unauthenticated', 'session token lacks a claim');
    }
    return { userId: Number(id), expiresAt: new Date(exp * 1_000), issuedAt: new Date(issued * 1_000) };
  }
}
