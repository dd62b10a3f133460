import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

afterAll(stopEngines);

describe('what would fail later, and quietly, is refused when it is set', () => {
  let manager: RunningManager;

  beforeAll(async () => {
    const [engine] = engines;
    manager = await RunningManager.start(engine ? await engine.freshDatabase() : {});
    await manager.signIn();
  });
  afterAll(() => manager.stop());

  it.each(['later', '[]', 'null', '{"job":{"ttl":"6h"}}', '{"job":{}}', '{"audit":{"ttl":0}}', '{"audit":null}'])(
    'ages for the garbage collection that it would not understand: %s',
    async (value) => {
      const refused = {
        status: 422,
        body: { errors: expect.stringMatching(/^value: must be JSON as .*in nanoseconds$/) },
      };
      expect(await manager.request('PATCH', '/api/v1/configs/1', { value })).toMatchObject(refused);
      const { id } = (await manager.request('POST', '/api/v1/configs', { name: `other-${value}`, value, user_id: 1 }))
        .body as { id: number };
      expect(await manager.request('PATCH', `/api/v1/configs/${id}`, { name: 'gc' })).toMatchObject(refused);
      const good = { value: '{"job":{"ttl":3600000000000}}', bio: 'an hour' };
      expect(await manager.request('PATCH', '/api/v1/configs/1', good)).toMatchObject({ status: 200, body: good });
    },
  );

  it.each([
    [
      'http://169.254.169.254/latest',
      'webhook.url: address 169.254.169.254 is refused: metadata addresses are not allowed',
    ],
    ['http://[::1]:80/', 'webhook.url: address ::1 is refused: loopback addresses are not allowed'],
    ['http://2130706433/', 'webhook.url: address 127.0.0.1 is refused: loopback addresses are not allowed'],
    ['ftp://ci.example/', "Error:Field validation for 'URL' failed on the 'http_url' tag"],
    ['javascript:alert(1)', "Error:Field validation for 'URL' failed on the 'http_url' tag"],
  ])('a webhook that cannot be called: %s', async (url, errors) => {
    const job = { type: 'preheat', args: { type: 'file', url: 'http://origin.test/x' }, webhook: { url } };
    const refused = { status: 422, body: { errors: expect.stringContaining(errors) } };
    expect(await manager.request('POST', '/api/v1/jobs', job)).toMatchObject(refused);
    const trigger = { name: 'nightly', kind: 'schedule', cron: '0 2 * * *', job };
    expect(await manager.request('POST', '/api/v1/jobs/triggers', trigger)).toMatchObject(refused);
  });

  it.each(['http://login.example', 'ftp://login.example', 'https'])(
    'a sign-in provider that nobody could trust: %s',
    async (issuer) => {
      const provider = { name: 'corp', client_id: 'a', client_secret: 'b', issuer };
      expect(await manager.request('POST', '/api/v1/oauth', provider)).toMatchObject({
        status: 422,
        body: { errors: expect.stringContaining("validation for 'Issuer'") },
      });
    },
  );
});
