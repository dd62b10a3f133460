import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@dragonfly/testkit';
import { Database, insertRow, UserEntity } from '@dragonfly/persistence';
import { engines, stopEngines } from './engines.js';
import { Browser, CLIENT, OpenIdProvider } from './openid-provider.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

const START = '/api/v1/users/signin';

/** Who the session of the browser belongs to. */
async function accountOf(
  manager: RunningManager,
  browser: Browser,
): Promise<{ id: number; name: string; email: string }> {
  const token = browser.cookie(manager.url, 'jwt') ?? '';
  const { id } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { id: number };
  const headers = { authorization: `Bearer ${token}` };
  return (await manager.anonymously().request('GET', `/api/v1/users/${id}`, undefined, headers)).body as {
    id: number;
    name: string;
    email: string;
  };
}

describe.each(engines)('signing in through an OpenID provider on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let provider: OpenIdProvider;

  beforeAll(async () => {
    // The provider knows the address that people come back to before the manager runs.
    const port = await freePort();
    provider = await OpenIdProvider.start(`http://127.0.0.1:${port}${START}/company/callback`);
    manager = await RunningManager.start(await freshDatabase(), undefined, undefined, port);
    await manager.signIn();
    const created = await manager.request('POST', '/api/v1/oauth', {
      name: 'company',
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      issuer: provider.issuer,
    });
    expect(created).toMatchObject({ status: 200, body: { name: 'company', issuer: provider.issuer } });
    expect(JSON.stringify(created.body)).not.toContain(CLIENT.secret);
  });
  afterAll(async () => {
    await manager.stop();
    await provider.stop();
  });

  const signIn = (browser: Browser): ReturnType<Browser['open']> =>
    browser.open(`${manager.url}${START}/company`, (url) => url === `${manager.url}/`);
  const comesBack = (browser: Browser): ReturnType<Browser['open']> =>
    browser.open(`${manager.url}${START}/company`, (url) => url.startsWith(`${manager.url}${START}/company/callback`));

  it('makes an account at the first time and finds it again, whatever its name and mail address become', async () => {
    provider.person = { sub: 'p-1', email: 'p1@example.com', email_verified: true, preferred_username: 'person' };
    const first = new Browser();
    expect((await signIn(first)).url).toBe(`${manager.url}/`);
    const account = await accountOf(manager, first);
    expect(account).toMatchObject({ name: 'person', email: 'p1@example.com' });
    expect((await manager.request('GET', `/api/v1/users/${account.id}/roles`)).body).toEqual(['guest']);

    provider.person = { sub: 'p-1', email: 'new@example.com', email_verified: true, preferred_username: 'renamed' };
    const second = new Browser();
    await signIn(second);
    expect(await accountOf(manager, second)).toMatchObject({ id: account.id, name: 'person' });
  });

  it('gives another person of the same name another account', async () => {
    provider.person = { sub: 'p-2', email: 'p2@example.com', email_verified: true, preferred_username: 'person' };
    const browser = new Browser();
    await signIn(browser);
    expect(await accountOf(manager, browser)).toMatchObject({ name: 'person-2' });
  });

  it('does not give an account with a password to whoever claims its mail address', async () => {
    const account = { name: 'victim', password: 'secret-pw', email: 'victim@example.com' };
    await manager.anonymously().request('POST', '/api/v1/users/signup', account);
    provider.person = { sub: 'p-3', email: 'victim@example.com', email_verified: true };
    const { response } = await signIn(new Browser());
    expect(response.status).toBe(409);
    expect(((await response.json()) as { message: string }).message).toContain('sign in with its password');
  });

  it.each([
    [true, 'gives'],
    [false, 'does not give'],
  ])('with the mail address verified: %s, %s over an account that an original manager made', async (verified) => {
    const email = `old-${verified}@example.com`;
    const id = await manager.app.get(Database).transaction((rows) =>
      insertRow(rows, UserEntity, new Date(), {
        name: `old-${verified}`,
        email,
        state: 'enable',
        encryptedPassword: '',
      }),
    );
    provider.person = { sub: `p-old-${verified}`, email, email_verified: verified };
    const browser = new Browser();
    const { response } = await signIn(browser);
    if (verified) {
      expect(
        JSON.parse(Buffer.from(browser.cookie(manager.url, 'jwt')?.split('.')[1] ?? '', 'base64url').toString()),
      ).toMatchObject({ id });
    } else {
      expect(response.status).toBe(409);
    }
  });

  it('takes the answer of the provider once, from the browser that began, and no other', async () => {
    provider.person = { sub: 'p-1' };
    const browser = new Browser();
    const { url } = await comesBack(browser);
    expect(url).toContain('code=');
    const stranger = await new Browser().open(url);
    expect(stranger.response.status).toBe(401);
    expect(stranger.response.headers.getSetCookie().join()).not.toContain('jwt=');
    expect((await browser.open(url, () => true)).response.status).toBe(302);
    expect((await browser.open(url)).response.status).toBe(401);
  });

  it('refuses a forged state, a code that the provider did not give, and a sign-in that was given up', async () => {
    const browser = new Browser();
    const { url } = await comesBack(browser);
    const forged = new URL(url);
    forged.searchParams.set('state', 'x'.repeat(43));
    expect((await browser.open(forged.href)).response.status).toBe(401);
    const invented = new URL(url);
    invented.searchParams.set('code', 'invented');
    expect((await browser.open(invented.href)).response.status).toBe(401);
    const denied = `${manager.url}${START}/company/callback?error=access_denied&state=x`;
    expect((await browser.open(denied)).response.status).toBe(401);
  });

  it('sends a state, a nonce and a PKCE challenge, and keeps the state from scripts', async () => {
    const response = await fetch(`${manager.url}${START}/company`, { redirect: 'manual' });
    const { searchParams } = new URL(response.headers.get('location') ?? '');
    expect(Object.fromEntries(searchParams)).toMatchObject({
      response_type: 'code',
      scope: 'openid email profile',
      code_challenge_method: 'S256',
      state: expect.stringMatching(/^[\w-]{43}$/) as string,
      nonce: expect.stringMatching(/^[\w-]{43}$/) as string,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as string,
    });
    expect(response.headers.getSetCookie().join()).toMatch(/^oauth_state=.*HttpOnly.*SameSite=Lax/i);
  });

  it('says that it cannot reach a provider that is away', async () => {
    const gone = await freePort();
    await manager.request('POST', '/api/v1/oauth', {
      name: 'away',
      client_id: 'c-away',
      client_secret: 's',
      issuer: `http://127.0.0.1:${gone}`,
    });
    const answer = await manager.request('GET', `${START}/away`);
    expect(answer).toMatchObject({ status: 503, body: { message: 'the sign-in provider cannot be reached' } });
    expect(answer.headers.get('retry-after')).toBe('2');
  });
});

/** The parts of GitHub that a sign-in needs. */
class FakeGithub {
  readonly requests: string[] = [];
  private server!: Server;

  async start(): Promise<string> {
    this.server = createServer((request, response) => {
      void this.answer(request).then((body) => {
        response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body ?? {}));
      });
    });
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage): Promise<unknown> {
    const path = (request.url ?? '').split('?')[0];
    this.requests.push(`${request.method} ${path}`);
    const isAuthorized = request.headers.authorization === 'Bearer gho_token';
    switch (path) {
      case '/token': {
        const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
        const isGood =
          form.get('code') === 'good' && form.get('client_secret') === 'gh-secret' && form.has('code_verifier');
        return isGood
          ? { access_token: 'gho_token', token_type: 'bearer', scope: 'user' }
          : { error: 'bad_verification_code' };
      }
      case '/user':
        // No public name and no public mail address: the original ends here with a panic.
        return isAuthorized ? { id: 42, login: 'octo', name: null, email: null, avatar_url: 'http://a' } : undefined;
      case '/user/emails':
        return isAuthorized
          ? [
              { email: 'unverified@example.com', primary: false, verified: false },
              { email: 'octo@example.com', primary: true, verified: true },
            ]
          : undefined;
      default:
        return undefined;
    }
  }
}

it('signs people of GitHub in, also those without a public name and mail address', async () => {
  const github = new FakeGithub();
  const address = await github.start();
  const addresses = { authorizeURL: `${address}/authorize`, tokenURL: `${address}/token`, apiURL: address };
  const [engine] = engines;
  const manager = await RunningManager.start(engine ? await engine.freshDatabase() : {}, undefined, {
    auth: { oauth: { github: addresses } },
  });
  await manager.signIn();
  await manager.request('POST', '/api/v1/oauth', { name: 'github', client_id: 'gh', client_secret: 'gh-secret' });
  const browser = new Browser();
  const { url } = await browser.open(`${manager.url}${START}/github`, () => true);
  const asked = new URL(url).searchParams;
  expect(Object.fromEntries(asked)).toMatchObject({ client_id: 'gh', scope: 'read:user user:email' });
  const back = new URL(asked.get('redirect_uri') ?? '');
  back.searchParams.set('code', 'good');
  back.searchParams.set('state', asked.get('state') ?? '');
  expect((await browser.open(back.href, () => true)).response.status).toBe(302);
  expect(await accountOf(manager, browser)).toMatchObject({ name: 'octo', email: 'octo@example.com' });
  await manager.stop();
  await github.stop();
});

describe('people of Google', () => {
  let google: OpenIdProvider;
  let manager: RunningManager;

  beforeAll(async () => {
    const port = await freePort();
    // Google's paths and claims: no `preferred_username`, and the domain of a company in `hd`.
    google = await OpenIdProvider.start(`http://127.0.0.1:${port}${START}/google/callback`, {
      routes: {
        authorization: '/o/oauth2/v2/auth',
        token: '/token',
        userinfo: '/v1/userinfo',
        jwks: '/oauth2/v3/certs',
      },
      claims: { openid: ['sub', 'hd'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
    });
    const [engine] = engines;
    const addresses = { auth: { oauth: { google: { issuer: google.issuer } } } };
    manager = await RunningManager.start(engine ? await engine.freshDatabase() : {}, undefined, addresses, port);
    await manager.signIn();
    const made = await manager.request('POST', '/api/v1/oauth', {
      name: 'google',
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
    });
    expect(made).toMatchObject({ status: 200, body: { name: 'google' } });
  });
  afterAll(async () => {
    await manager.stop();
    await google.stop();
  });

  const signIn = (browser: Browser): ReturnType<Browser['open']> =>
    browser.open(`${manager.url}${START}/google`, (url) => url === `${manager.url}/`);

  it('are sent to its page, with the scopes that it knows', async () => {
    const response = await fetch(`${manager.url}${START}/google`, { redirect: 'manual' });
    const location = new URL(response.headers.get('location') ?? '');
    expect(`${location.origin}${location.pathname}`).toBe(`${google.issuer}/o/oauth2/v2/auth`);
    expect(Object.fromEntries(location.searchParams)).toMatchObject({
      client_id: CLIENT.id,
      response_type: 'code',
      scope: 'openid email profile',
      redirect_uri: `${manager.url}${START}/google/callback`,
    });
  });

  it('get an account named after them, and the same one again', async () => {
    google.person = {
      sub: '110169484474386276334',
      email: 'ada@company.example',
      email_verified: true,
      name: 'Ada Lovelace',
      picture: 'https://lh3.example/a/ada',
      hd: 'company.example',
    };
    const first = new Browser();
    expect((await signIn(first)).url).toBe(`${manager.url}/`);
    const account = await accountOf(manager, first);
    expect(account).toMatchObject({ name: 'Ada-Lovelace', email: 'ada@company.example' });
    google.person = { ...google.person, email: 'countess@company.example', name: 'Countess' };
    const second = new Browser();
    await signIn(second);
    expect(await accountOf(manager, second)).toMatchObject({ id: account.id, name: 'Ada-Lovelace' });
  });

  it('get no account of somebody else by an address that Google has not verified', async () => {
    await manager.app.get(Database).transaction((rows) =>
      insertRow(rows, UserEntity, new Date(), {
        name: 'owner',
        email: 'owner@company.example',
        state: 'enable',
        encryptedPassword: '',
      }),
    );
    google.person = { sub: '2', email: 'owner@company.example', email_verified: false, name: 'Mallory' };
    expect((await signIn(new Browser())).response.status).toBe(409);
  });
});
