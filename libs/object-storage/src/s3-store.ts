import type { S3Client } from '@aws-sdk/client-s3';
import { DfError } from '@dragonfly/errors';
import { type BucketInfo, CALL_TIMEOUT_MS, ObjectStore, type ObjectStoreOptions } from './object-store.js';
import { storeError } from './store-errors.js';

type Sdk = typeof import('@aws-sdk/client-s3');

/** Stores without regions sign with this one. */
const DEFAULT_REGION = 'us-east-1';
/** Tries of the SDK for one call, the first included. */
const MAX_ATTEMPTS = 2;

/** Everything that speaks the S3 protocol. The SDK is loaded when the first store is opened. */
export class S3Store extends ObjectStore {
  private constructor(
    private readonly sdk: Sdk,
    private readonly client: S3Client,
    private readonly region: string,
  ) {
    super();
  }

  static async open(options: ObjectStoreOptions): Promise<S3Store> {
    const sdk = await import('@aws-sdk/client-s3');
    const region = options.region || DEFAULT_REGION;
    const client = new sdk.S3Client({
      region,
      ...(options.endpoint === '' ? {} : { endpoint: endpointUrl(options.endpoint) }),
      credentials: { accessKeyId: options.accessKey, secretAccessKey: options.secretKey },
      forcePathStyle: options.s3ForcePathStyle,
      maxAttempts: MAX_ATTEMPTS,
      // Stores that are not Amazon's often refuse checksums they did not ask for.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    return new S3Store(sdk, client, region);
  }

  async listBuckets(): Promise<BucketInfo[]> {
    const { Buckets = [] } = await this.call('list buckets', (abortSignal) =>
      this.client.send(new this.sdk.ListBucketsCommand({}), { abortSignal }),
    );
    return Buckets.map(({ Name, CreationDate }) => ({ name: Name ?? '', createdAt: CreationDate }));
  }

  async createBucket(name: string): Promise<void> {
    // Amazon's first region must not be named.
    const place =
      this.region === DEFAULT_REGION ? {} : { CreateBucketConfiguration: { LocationConstraint: this.region as never } };
    await this.call(`create bucket ${name}`, (abortSignal) =>
      this.client.send(new this.sdk.CreateBucketCommand({ Bucket: name, ...place }), { abortSignal }),
    );
  }

  async deleteBucket(name: string): Promise<void> {
    await this.call(`delete bucket ${name}`, (abortSignal) =>
      this.client.send(new this.sdk.DeleteBucketCommand({ Bucket: name }), { abortSignal }),
    );
  }

  close(): Promise<void> {
    this.client.destroy();
    return Promise.resolve();
  }

  private async call<T>(what: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
    try {
      return await run(timeout);
    } catch (error) {
      if (timeout.aborted) throw new DfError('deadline-exceeded', `${what}: no answer within ${CALL_TIMEOUT_MS} ms`);
      throw storeError(error, what);
    }
  }
}

/** An endpoint without a scheme is meant as https, as in the configuration of the original. */
export function endpointUrl(endpoint: string): string {
  return /^https?:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`;
}
