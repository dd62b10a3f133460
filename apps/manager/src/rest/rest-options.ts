/** Settings of the REST side that its parts read. A class, so that it is its own token. */
export class RestOptions {
  readonly cookie: {
    /** `auto`: whenever the request came over TLS. */
    readonly secure: boolean | 'auto';
    readonly sameSite: 'lax' | 'strict' | 'none';
    readonly httpOnly: boolean;
    /** Empty = the host that was asked. */
    readonly domain: string;
  };
  /** Whether people may make accounts for themselves. */
  readonly isSignUpOpen: boolean;
  /** Origins of other sites whose scripts may use the API with its cookie; `*` = every one. */
  readonly corsOrigins: readonly string[];
  /** Addresses and networks whose `X-Forwarded-*` headers are believed. */
  readonly trustedProxies: readonly string[];
  /** Directory of a built console; empty = none. */
  readonly consoleDirectory: string;

  /** Where GitHub is. */
  readonly github: { readonly authorizeURL: string; readonly tokenURL: string; readonly apiURL: string };

  /** Where Google's OpenID configuration is found. */
  readonly googleIssuer: string;

  constructor(options: RestOptions) {
    this.cookie = options.cookie;
    this.isSignUpOpen = options.isSignUpOpen;
    this.corsOrigins = options.corsOrigins;
    this.trustedProxies = options.trustedProxies;
    this.consoleDirectory = options.consoleDirectory;
    this.github = options.github;
    this.googleIssuer = options.googleIssuer;
  }
}
