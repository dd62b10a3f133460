import { extObjectStorage } from '@dragonfly/proto';
import { createGrpcClient, unary } from '@dragonfly/rpc';
import { FakeObjectStore } from '@dragonfly/testkit';
import { Metadata } from '@grpc/grpc-js';
import { engines, stopEngines } from './engines.js';
import { RunningManager } from './running-manager.js';

const engine = engines[0];
const DISABLED = { message: 'object storage is disabled' };

let fake: FakeObjectStore;
let manager: RunningManager;

beforeAll(async () => {
  fake = await FakeObjectStore.start();
});
afterEach(() => manager.stop());
afterAll(async () => {
  await fake.stop();
  await stopEngines();
});

async function start(isEnabled: boolean): Promise<void> {
  const objectStorage = {
    enable: isEnabled,
    name: 's3',
    region: 'eu-1',
    endpoint: fake.endpoint,
    accessKey: 'good',
    secretKey: 'hush',
  };
  manager = await RunningManager.start((await engine?.freshDatabase()) ?? {}, undefined, { objectStorage });
  await manager.signIn();
}

async function ask(token?: string): Promise<extObjectStorage.ObjectStorage> {
  const client = createGrpcClient(extObjectStorage.ObjectStorageServiceClient, `127.0.0.1:${manager.app.grpcPort}`);
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  try {
    return await unary<extObjectStorage.GetObjectStorageRequest, extObjectStorage.ObjectStorage>(
      client.getObjectStorage.bind(client),
      { hostname: 'h', ip: '127.0.0.1' },
      { deadlineMs: 5_000, metadata },
    );
  } finally {
    client.close();
  }
}

async function tokenWith(scopes: string[]): Promise<string> {
  const answer = await manager.request('POST', '/api/v1/personal-access-tokens', {
    name: `t-${scopes.join('-')}`,
    bio: '',
    scopes,
    expired_at: '2035-01-01T00:00:00Z',
    user_id: 1,
  });
  expect(answer.status).toBe(200);
  return (answer.body as { token: string }).token;
}

describe('the object storage of the configuration', () => {
  it('has its buckets behind REST in the form of 2.0 (seed 000-12)', async () => {
    await start(true);
    fake.buckets.clear();
    expect(await manager.request('POST', '/api/v1/buckets', { name: 'models' })).toMatchObject({
      status: 200,
      body: '',
    });
    expect((await manager.request('POST', '/api/v1/buckets', { name: 'models' })).status).toBe(409);
    expect((await manager.request('POST', '/api/v1/buckets', {})).status).toBe(422);
    const body = { Name: 'models', CreateAt: '2026-01-02T03:04:05Z' };
    expect((await manager.request('GET', '/api/v1/buckets')).body).toEqual([body]);
    expect((await manager.request('GET', '/api/v1/buckets/models')).body).toEqual(body);
    expect((await manager.request('GET', '/api/v1/buckets/other')).status).toBe(404);
    expect(await manager.request('DELETE', '/api/v1/buckets/models')).toMatchObject({ status: 200, body: '' });
    expect([...fake.buckets]).toEqual([]);
  });

  it('is told to daemons that prove who they are, and to nobody else', async () => {
    await start(true);
    await expect(ask()).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(ask('nonsense')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(ask(await tokenWith(['job']))).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(ask(await tokenWith(['object-storage']))).resolves.toMatchObject({
      name: 's3',
      region: 'eu-1',
      endpoint: fake.endpoint,
      accessKey: 'good',
      secretKey: 'hush',
      scheme: 'http',
    });
  });

  it('is absent when it is off', async () => {
    await start(false);
    expect(await manager.request('GET', '/api/v1/buckets')).toMatchObject({ status: 404, body: DISABLED });
    await expect(ask(await tokenWith(['object-storage']))).rejects.toMatchObject({ code: 'not-found' });
  });
});
