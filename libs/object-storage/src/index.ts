/**
 * Object stores behind one port.
 * @packageDocumentation
 */
import type { ObjectStore, ObjectStoreOptions } from './object-store.js';
import { OssStore } from './oss-store.js';
import { S3Store } from './s3-store.js';

export { type BucketInfo, CALL_TIMEOUT_MS, ObjectStore, type ObjectStoreOptions } from './object-store.js';

/** Opens the store of the options; connects at the first call only. */
export function openObjectStore(options: ObjectStoreOptions): Promise<ObjectStore> {
  switch (options.name) {
    case 'oss':
      return OssStore.open(options);
    case 's3':
    case 'obs':
      return S3Store.open(options);
  }
}
