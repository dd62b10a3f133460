/** How a store is reached. */
export interface ObjectStoreOptions {
  /** `s3` for everything that speaks the S3 protocol, `oss`, or `obs` (spoken to as S3). */
  readonly name: 's3' | 'oss' | 'obs';
  /** May be empty where the store does not know regions. */
  readonly region: string;
  /** URL, or host with an optional port (https then); empty: the provider's own for the region. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Bucket in the path instead of the host name. */
  readonly s3ForcePathStyle: boolean;
}

export interface BucketInfo {
  readonly name: string;
  readonly createdAt: Date | undefined;
}

/** Longest answer of a store to one question. */
export const CALL_TIMEOUT_MS = 15_000;

/**
 * A store of objects in buckets. Every call ends within CALL_TIMEOUT_MS, and fails with a DfError: `not-found`,
 * `already-exists`, `permission-denied` (also for wrong credentials), `failed-precondition` (a bucket that is not empty),
 * `invalid-argument` (a bucket name), `unavailable`, `deadline-exceeded`.
 */
export abstract class ObjectStore {
  /** Every bucket that the credentials may see. */
  abstract listBuckets(): Promise<BucketInfo[]>;
  abstract createBucket(name: string): Promise<void>;
  /** @throws DfError failed-precondition when it is not empty */
  abstract deleteBucket(name: string): Promise<void>;
  abstract close(): Promise<void>;
}
