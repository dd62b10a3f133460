import type OSS from 'ali-oss';
import { type BucketInfo, CALL_TIMEOUT_MS, ObjectStore, type ObjectStoreOptions } from './object-store.js';
import { endpointUrl } from './s3-store.js';
import { storeError } from './store-errors.js';

/** Buckets of one page. */
const PAGE_SIZE = 100;
/** Most pages that are asked for. */
const MAX_PAGES = 100;

/** Alibaba Cloud OSS. The SDK is loaded when the first store is opened. */
export class OssStore extends ObjectStore {
  private constructor(private readonly client: OSS) {
    super();
  }

  static async open(options: ObjectStoreOptions): Promise<OssStore> {
    const { default: Client } = await import('ali-oss');
    const client = new Client({
      accessKeyId: options.accessKey,
      accessKeySecret: options.secretKey,
      ...(options.region === '' ? {} : { region: options.region }),
      ...(options.endpoint === '' ? {} : { endpoint: endpointUrl(options.endpoint) }),
      secure: !/^http:/i.test(options.endpoint),
      timeout: CALL_TIMEOUT_MS,
    });
    return new OssStore(client);
  }

  async listBuckets(): Promise<BucketInfo[]> {
    const found: BucketInfo[] = [];
    let marker: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer = await this.call('list buckets', () =>
        this.client.listBuckets({ 'max-keys': PAGE_SIZE, ...(marker === undefined ? {} : { marker }) }),
      );
      // The types of the SDK call the answer an array; it is an object that holds one.
      const { buckets, nextMarker } = answer as unknown as {
        buckets: { name: string; creationDate?: string }[] | null;
        nextMarker?: string | null;
      };
      for (const { name, creationDate } of buckets ?? []) {
        found.push({ name, createdAt: creationDate === undefined ? undefined : new Date(creationDate) });
      }
      if (!nextMarker) break;
      marker = nextMarker;
    }
    return found;
  }

  async createBucket(name: string): Promise<void> {
    await this.call(`create bucket ${name}`, () => this.client.putBucket(name));
  }

  async deleteBucket(name: string): Promise<void> {
    await this.call(`delete bucket ${name}`, () => this.client.deleteBucket(name));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async call<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw storeError(error, what);
    }
  }
}
