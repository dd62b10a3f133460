import { readFileSync } from 'node:fs';
import { AuditEntity, Database, JobEntity, JobTriggerEntity, WebhookDeliveryEntity } from '@dragonfly/persistence';
import { FakeRegistry } from '@dragonfly/registry/testing';
import { createLogger, type Logger } from '@dragonfly/telemetry';
import { freePort, tempDir, waitFor } from '@dragonfly/testkit';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler } from './fake-scheduler.js';
import { addScheduler, endOf, LOOPBACK_ALLOWED } from './job-setup.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

/** Given by people and configurations. None of them is a word that stands anywhere else. */
const SECRETS = {
  signingKey: 'signing-key-8e1f7a20c4d94b6f-of-the-configuration',
  password: 'pw-4c1be62f',
  nextPassword: 'pw-91aa03de',
  wrongPassword: 'pw-0f6c77b1',
  registryPassword: 'registry-pw-77aa1c',
  wrongRegistryPassword: 'registry-pw-2be9d0',
  registryHeader: 'header-token-5d0c9e',
  originHeader: 'origin-token-a83f11',
  urlPassword: 'url-pw-19d4e7',
  urlSignature: 'signature-6e2b90ff',
  objectStorageId: 'storage-id-30bd7a',
  objectStorageKey: 'storage-key-f1827c',
  hdfsToken: 'delegation-0d44b8',
  webhookPassword: 'hook-pw-e50a62',
  webhookQuery: 'hook-token-b7c1f9',
  webhookSecret: 'hook-secret-9a0d3e',
  oauthSecret: 'oauth-secret-44f0c8',
  bucketKey: 'bucket-id-6c11ae',
  bucketSecret: 'bucket-secret-d02f5b',
  madeUpToken: 'made-up-token-812ce4',
} as const;

describe.each(engines)('secrets on $name (seed 002-13)', ({ freshDatabase }) => {
  const directory = tempDir('secrets');
  /** Secrets that the manager made and told once. */
  const told: string[] = [];
  /** Answers that may hold no secret: every one but those which tell a new one. */
  const answers: Answer[] = [];
  let manager: RunningManager;
  let scheduler: FakeScheduler;
  let registry: FakeRegistry;
  let away: string;
  let log: Logger;

  beforeAll(async () => {
    scheduler = await FakeScheduler.start();
    registry = await FakeRegistry.start({ auth: 'bearer', username: 'bob', password: SECRETS.registryPassword });
    away = `http://user:${SECRETS.webhookPassword}@127.0.0.1:${await freePort()}`;
    const more = {
      ...LOOPBACK_ALLOWED,
      auth: { jwt: { key: SECRETS.signingKey } },
      objectStorage: {
        enable: true,
        name: 's3',
        region: 'r',
        endpoint: `http://127.0.0.1:${await freePort()}`,
        accessKey: SECRETS.bucketKey,
        secretKey: SECRETS.bucketSecret,
      },
    };
    log = createLogger({
      service: 'manager',
      level: 'trace',
      file: directory.file('manager.log'),
      console: false,
    });
    manager = await RunningManager.start(await freshDatabase(), undefined, more, 0, log);
    const { body } = await manager.signIn();
    told.push((body as { token: string }).token);
    await addScheduler(manager, scheduler.port);
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
    await registry.close();
    directory.remove();
  });

  /** A request whose answer may hold no secret. */
  async function ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const answer = await manager.request(method, path, body, headers);
    answers.push(answer);
    return answer;
  }

  /** A request that tells a secret which the manager has made. */
  async function learn(method: string, path: string, body?: unknown): Promise<string> {
    const { body: told_, status } = await manager.request(method, path, body);
    expect(status).toBe(200);
    const { token } = told_ as { token: string };
    told.push(token);
    return token;
  }

  it('are given in conversations of every kind, good and bad', async () => {
    const account = { name: 'eve', password: SECRETS.password, email: 'eve@example.com' };
    const signedUp = await ask('POST', '/api/v1/users/signup', account);
    expect(signedUp.status).toBe(200);
    const { id } = signedUp.body as { id: number };
    await ask('POST', '/api/v1/users/signup', account);
    await ask('POST', '/api/v1/users/signup', { ...account, email: 'no mail address' });
    await ask('POST', '/api/v1/users/signin', { name: 'eve', password: SECRETS.wrongPassword });
    await ask('POST', '/api/v1/users/signin', `{"name":"eve","password":"${SECRETS.password}"`);
    await ask('POST', `/api/v1/users/${id}/reset_password`, {
      old_password: SECRETS.password,
      new_password: SECRETS.nextPassword,
    });
    await learn('POST', '/api/v1/users/signin', { name: 'eve', password: SECRETS.nextPassword });

    const token = await learn('POST', '/api/v1/personal-access-tokens', {
      name: 'ci',
      scopes: ['job'],
      expired_at: '2037-01-01T00:00:00Z',
      user_id: 1,
    });
    await ask('GET', '/oapi/v1/jobs', undefined, { authorization: `Bearer ${token}` });
    await ask('GET', `/oapi/v1/jobs?access_token=${token}`, undefined, { authorization: '' });
    await ask('GET', `/oapi/v1/clusters?access_token=${token}`, undefined, { authorization: '' });
    await ask('GET', '/oapi/v1/jobs', undefined, { authorization: `Bearer ${SECRETS.madeUpToken}` });
    await ask('GET', `/api/v1/clusters?token=${SECRETS.madeUpToken}`, undefined, { authorization: '' });
    await ask('GET', '/preheats/1', undefined, {
      authorization: `Basic ${Buffer.from(`harbor:${SECRETS.madeUpToken}`).toString('base64')}`,
    });

    const oauth = { name: 'company', client_id: 'c', client_secret: SECRETS.oauthSecret, issuer: away };
    await ask('POST', '/api/v1/oauth', { ...oauth, issuer: 'no address' });
    await ask('POST', '/api/v1/oauth', { ...oauth, issuer: away.replace(/\/\/.*@/, '//') });
    await ask('GET', '/api/v1/users/signin/company');
    await ask('GET', `/api/v1/users/signin/company/callback?code=${SECRETS.madeUpToken}&state=x`);

    // One with certificates, whose jobs the fake scheduler could not take; it writes the same log.
    const secured = await RunningManager.start(
      await freshDatabase(),
      undefined,
      { security: { enable: true, joinPort: 0 } },
      0,
      log,
    );
    told.push(((await secured.signIn()).body as { token: string }).token);
    const joining = await secured.request('POST', '/api/v1/join-tokens', { bio: 'node', ttl_seconds: 3600 });
    told.push((joining.body as { token: string }).token);
    for (const list of ['join-tokens', 'certificates', 'audits']) {
      answers.push(await secured.request('GET', `/api/v1/${list}`));
    }
    await secured.stop();

    await ask('POST', '/api/v1/buckets', { name: 'models' });
    await ask('GET', '/api/v1/buckets');
  });

  it('are given in jobs and triggers', async () => {
    registry.putImage('team/app', [Buffer.from('layer')], { tag: 'v1' });
    const webhook = { url: `${away}/hook?token=${SECRETS.webhookQuery}`, secret: SECRETS.webhookSecret };
    const image = { type: 'image', url: registry.manifestUrl('team/app', 'v1'), username: 'bob' };
    const file = {
      type: 'file',
      url: `http://user:${SECRETS.urlPassword}@127.0.0.1:1/model?X-Amz-Signature=${SECRETS.urlSignature}`,
      headers: { Authorization: `Bearer ${SECRETS.originHeader}` },
      object_storage: { access_key_id: SECRETS.objectStorageId, access_key_secret: SECRETS.objectStorageKey },
      hdfs: { delegation_token: SECRETS.hdfsToken },
    };
    const jobs = [
      { type: 'preheat', args: { ...image, password: SECRETS.registryPassword }, webhook },
      { type: 'preheat', args: { ...image, password: SECRETS.wrongRegistryPassword } },
      { type: 'preheat', args: { ...image, headers: { Authorization: `Basic ${SECRETS.registryHeader}` } } },
      { type: 'preheat', args: file, webhook },
      { type: 'preheat', args: { ...file, scope: 'nowhere' }, webhook },
      { type: 'get_task', args: { url: file.url } },
      { type: 'get_image_distribution', args: { ...image, password: SECRETS.wrongRegistryPassword } },
    ];
    for (const job of jobs) {
      const answer = await ask('POST', '/api/v1/jobs', job);
      const { id } = (answer.body ?? {}) as { id?: number };
      if (answer.status === 200 && id !== undefined) {
        await endOf(manager, id);
        await ask('GET', `/api/v1/jobs/${id}`);
        await ask('POST', `/api/v1/jobs/${id}/retry`);
      }
    }
    const trigger = (name: string, args: object): object => ({
      name,
      kind: 'schedule',
      cron: '0 2 29 2 *',
      job: { type: 'preheat', args, webhook },
    });
    for (const body of [
      trigger('file', file),
      trigger('image', { ...image, password: SECRETS.wrongRegistryPassword }),
      trigger('bad', { ...file, scope: 'nowhere' }),
    ]) {
      const answer = await ask('POST', '/api/v1/jobs/triggers', body);
      if (answer.status === 200) {
        await ask('POST', `/api/v1/jobs/triggers/${(answer.body as { id: number }).id}/run`);
      }
    }
    const { manager: rows } = manager.app.get(Database);
    await waitFor(async () => (await rows.findBy(WebhookDeliveryEntity, {})).some(({ error }) => error), {
      what: 'a delivery that failed',
    });
    expect(await rows.count(JobEntity)).toBeGreaterThan(3);
    expect(await rows.count(JobTriggerEntity)).toBe(2);
  });

  it('stand in no answer, list, error, metric, audit entry and line of the log', async () => {
    const lists = ['jobs', 'jobs/triggers', 'users', 'oauth', 'personal-access-tokens'];
    for (const list of [...lists, 'audits?per_page=1000', 'configs', 'buckets', 'schedulers', 'applications']) {
      await ask('GET', `/api/v1/${list}`);
    }
    const metrics = await (await fetch(`http://127.0.0.1:${manager.app.metricsPort}/metrics`)).text();
    const audits = await manager.app.get(Database).manager.find(AuditEntity);
    expect(audits.length).toBeGreaterThan(20);
    const log = readFileSync(directory.file('manager.log'), 'utf8');
    expect(log).toContain('"msg":"request"');
    const places = {
      log,
      metrics,
      audits: JSON.stringify(audits),
      answers: JSON.stringify(answers.map(({ status, body }) => ({ status, body }))),
    };
    const secrets = [...Object.values(SECRETS), ...told].flatMap((secret) => [
      secret,
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    ]);
    const found = Object.entries(places).flatMap(([place, text]) =>
      secrets.flatMap((secret) => {
        const at = text.indexOf(secret);
        return at < 0 ? [] : [`${place}: …${text.slice(Math.max(0, at - 200), at + secret.length + 20)}…`];
      }),
    );
    expect(found).toEqual([]);
  });
});
