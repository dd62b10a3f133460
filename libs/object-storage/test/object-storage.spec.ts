import { FakeObjectStore } from '@dragonfly/testkit';
import { type ObjectStore, openObjectStore } from '../src/index.js';

describe.each(['s3', 'obs', 'oss'] as const)('a store of kind %s', (name) => {
  let fake: FakeObjectStore;
  let store: ObjectStore;

  const open = (accessKey = 'good'): Promise<ObjectStore> =>
    openObjectStore({
      name,
      region: '',
      endpoint: fake.endpoint,
      accessKey,
      secretKey: 'hush',
      s3ForcePathStyle: true,
    });

  beforeAll(async () => {
    fake = await FakeObjectStore.start();
  });
  afterAll(() => fake.stop());
  beforeEach(async () => {
    store = await open();
    fake.buckets.clear();
    fake.filled.clear();
  });
  afterEach(() => store.close());

  it('makes, lists and deletes buckets', async () => {
    await store.createBucket('models');
    await store.createBucket('images');
    const listed = await store.listBuckets();
    expect(listed.map((bucket) => bucket.name).sort()).toEqual(['images', 'models']);
    expect(listed[0]?.createdAt).toEqual(new Date('2026-01-02T03:04:05Z'));
    await store.deleteBucket('models');
    expect([...fake.buckets]).toEqual(['images']);
    await store.deleteBucket('images');
    await expect(store.listBuckets()).resolves.toEqual([]);
  });

  it('tells by the code of the error what is wrong', async () => {
    await store.createBucket('models');
    await expect(store.createBucket('models')).rejects.toMatchObject({ code: 'already-exists' });
    await expect(store.deleteBucket('other')).rejects.toMatchObject({ code: 'not-found' });
    fake.filled.add('models');
    await expect(store.deleteBucket('models')).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  it('does not put credentials into errors', async () => {
    const stranger = await open('bad');
    const error = await stranger.listBuckets().catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code: 'permission-denied' });
    expect(JSON.stringify([error, (error as Error).cause, (error as Error).message])).not.toMatch(/hush|"bad"/);
    await stranger.close();
  });

  it('is unavailable when nobody listens', async () => {
    const gone = await openObjectStore({
      name,
      region: '',
      endpoint: 'http://127.0.0.1:1',
      accessKey: 'good',
      secretKey: 'hush',
      s3ForcePathStyle: true,
    });
    await expect(gone.listBuckets()).rejects.toMatchObject({ code: 'unavailable' });
    await gone.close();
  });
});
