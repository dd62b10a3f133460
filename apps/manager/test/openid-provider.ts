import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';

/** Somebody who has an account at the provider. */
export interface Person {
  sub: string;
  email?: string;
  email_verified?: boolean;
  preferred_username?: string;
  name?: string;
  picture?: string;
  hd?: string;
}

/** How a provider differs from the plain one. */
export interface ProviderTraits {
  readonly routes?: { authorization: string; token: string; userinfo: string; jwks: string };
  /** Claims by their scope. @default those of a company's own provider */
  readonly claims?: Readonly<Record<string, string[]>>;
}

export const CLIENT = { id: 'manager', secret: 'a-secret-of-the-manager-0123456789' };

/** An OpenID provider on this machine at which everybody is signed in and agrees at once. */
export class OpenIdProvider {
  /** Who is sitting in front of the browser. */
  person: Person = { sub: 'p-1' };

  private constructor(
    private readonly server: Server,
    readonly issuer: string,
  ) {}

  static async start(redirectUri: string, { routes, claims }: ProviderTraits = {}): Promise<OpenIdProvider> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const self = new OpenIdProvider(server, issuer);
    const provider = new Provider(issuer, {
      clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [redirectUri] }],
      claims: claims ?? { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
      ...(routes ? { routes } : {}),
      pkce: { required: () => true },
      findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ ...self.person, sub }) }),
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      features: { devInteractions: { enabled: false } },
    });
    const answer = provider.callback();
    server.on('request', (request, response) => {
      if (!request.url?.startsWith('/interaction/')) {
        void answer(request, response);
        return;
      }
      void agree(provider, self.person.sub, request, response);
    });
    return self;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Signs the person in, or grants what is asked for, whichever the provider wants to know. */
async function agree(
  provider: Provider,
  accountId: string,
  ...[request, response]: Parameters<ReturnType<Provider['callback']>>
): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId } });
    return;
  }
  const grant = new provider.Grant({
    accountId: session?.accountId ?? accountId,
    clientId: String(params['client_id']),
  });
  grant.addOIDCScope('openid email profile');
  const grantId = await grant.save();
  await provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}

/** A browser: keeps cookies by host and follows redirects as far as it is told. */
export class Browser {
  private readonly cookies = new Map<string, string>();

  cookie(url: string, name: string): string | undefined {
    return this.cookies.get(`${new URL(url).host} ${name}`);
  }

  /** @returns the first answer that is no redirect, or whose redirect leads to `stopAt` */
  async open(
    url: string,
    stopAt: (url: string) => boolean = () => false,
  ): Promise<{ response: Response; url: string }> {
    let next = url;
    for (let hops = 0; hops < 20; hops += 1) {
      const { host } = new URL(next);
      const cookie = [...this.cookies]
        .filter(([key]) => key.startsWith(`${host} `))
        .map(([key, value]) => `${key.split(' ')[1]}=${value}`)
        .join('; ');
      const response = await fetch(next, { redirect: 'manual', headers: cookie ? { cookie } : {} });
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        this.cookies.set(`${host} ${name}`, value);
      }
      const location = response.headers.get('location');
      if (!location || response.status < 300 || response.status >= 400) {
        return { response, url: next };
      }
      next = new URL(location, next).href;
      if (stopAt(next)) {
        return { response, url: next };
      }
    }
    throw new Error('the redirects do not end');
  }
}
