import { mkdirSync, writeFileSync } from 'node:fs';
import { DfError } from '@dragonfly/errors';
import { engines, freshDirectory, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

async function started(server: object, more: object = {}): Promise<RunningManager> {
  const [engine] = engines;
  const grpc = { listenIP: '127.0.0.1', port: { start: 0 } };
  return RunningManager.start(engine ? await engine.freshDatabase() : {}, undefined, {
    server: { workHome: freshDirectory(), grpc, rest: { addr: '127.0.0.1:0', ...server } },
    ...more,
  });
}

describe('settings of the REST side', () => {
  it('let scripts of the sites that are named use the API with its cookie, and no others', async () => {
    const manager = await started({ cors: { origins: ['https://console.test'] } });
    const from = (origin: string): Promise<{ headers: Headers; status: number }> =>
      manager.request('GET', '/api/v1/clusters', undefined, { origin });
    const named = (await from('https://console.test')).headers;
    expect(named.get('access-control-allow-origin')).toBe('https://console.test');
    expect(named.get('access-control-allow-credentials')).toBe('true');
    expect(named.get('access-control-expose-headers')).toBe('Link, Location, Authorization');
    expect((await from('https://elsewhere.test')).headers.get('access-control-allow-origin')).toBeNull();
    const asked = await manager.request('OPTIONS', '/api/v1/clusters', undefined, {
      origin: 'https://console.test',
      'access-control-request-method': 'PATCH',
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-methods')).toContain('PATCH');
    await manager.stop();
  });

  it('let every site in without a cookie', async () => {
    const manager = await started({ cors: { origins: ['*'] } });
    const { headers } = await manager.request('GET', '/api/v1/clusters', undefined, { origin: 'https://a.test' });
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    await manager.stop();
  });

  it('say how the session cookie is, and whose forwarded addresses are believed', async () => {
    const cookie = { secure: true, sameSite: 'strict', httpOnly: true, domain: 'df.test' };
    const manager = await started({ trustedProxies: ['127.0.0.1'] }, { auth: { cookie } });
    const { headers } = await manager.signIn();
    expect(headers.get('set-cookie')).toMatch(/^jwt=.*; Domain=df\.test; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
    await manager.request('POST', '/api/v1/users/signout', undefined, { 'x-forwarded-for': '10.9.8.7' });
    expect(await manager.request('GET', '/api/v1/audits?path=/api/v1/users/signout')).toMatchObject({
      body: [{ detail: { ip: '10.9.8.7' } }],
    });
    await manager.stop();
  });

  it('close the sign-up', async () => {
    const manager = await started({}, { auth: { signUp: { enable: false } } });
    const account = { name: 'alice', password: 'secret-pw', email: 'a@example.com' };
    expect(await manager.request('POST', '/api/v1/users/signup', account)).toMatchObject({ status: 403 });
    await manager.stop();
  });

  it('serve a console: its files, and its first page for every page of it', async () => {
    const directory = freshDirectory();
    mkdirSync(`${directory}/static`, { recursive: true });
    writeFileSync(`${directory}/index.html`, '<html><head><title>c</title></head></html>');
    writeFileSync(`${directory}/static/main.js`, 'run()');
    writeFileSync(`${directory}/../hidden.txt`, 'hidden');
    const manager = await started({ consoleDir: directory });
    const page = '<html><head><base href="/"><title>c</title></head></html>';
    for (const path of ['/', '/index.html', '/clusters/1', '/static/', '/../hidden.txt', '/..%2fhidden.txt', '/%00']) {
      expect([path, (await manager.request('GET', path)).body]).not.toEqual([path, 'hidden']);
    }
    for (const path of ['/', '/index.html', '/clusters/1', '/signin?x=1']) {
      expect(await manager.request('GET', path)).toMatchObject({ status: 200, body: page });
    }
    const script = await manager.request('GET', '/static/main.js');
    expect(script.body).toBe('run()');
    expect(script.headers.get('content-type')).toContain('javascript');
    expect((await manager.request('GET', '/api/v1/nothing')).body).toEqual({ message: 'Not Found' });
    expect((await manager.request('GET', '/healthy')).body).toBe('OK');
    // Harbor's, which calls the first API.
    expect((await manager.anonymously().request('GET', '/_ping')).body).toBe('OK');
    expect((await manager.anonymously().request('GET', '/preheats/1')).status).toBe(401);
    await manager.stop();
  });

  it('name the directory that holds no console', async () => {
    await expect(started({ consoleDir: '/nowhere' })).rejects.toThrow(DfError);
  });
});
