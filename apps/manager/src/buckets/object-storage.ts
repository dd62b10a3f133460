import { DfError } from '@dragonfly/errors';
import { type ObjectStore, type ObjectStoreOptions, openObjectStore } from '@dragonfly/object-storage';
import { z } from 'zod';
import type { ManagerConfig } from '../config/manager-config.js';

const storeName = z.enum(['s3', 'oss', 'obs']);

/** The object storage of the configuration, opened when it is first needed. */
export class ObjectStorage {
  #store: Promise<ObjectStore> | undefined;

  constructor(private readonly config: ManagerConfig['objectStorage']) {}

  get isEnabled(): boolean {
    return this.config.enable;
  }

  /** How it is reached, credentials included. @throws DfError not-found when it is off */
  get options(): ObjectStoreOptions {
    const { enable, name, region, endpoint, accessKey, secretKey, s3ForcePathStyle } = this.config;
    if (!enable) {
      throw new DfError('not-found', 'object storage is disabled');
    }
    return { name: storeName.parse(name), region, endpoint, accessKey, secretKey, s3ForcePathStyle };
  }

  /** @throws DfError not-found when it is off */
  store(): Promise<ObjectStore> {
    const { options } = this;
    this.#store ??= openObjectStore(options);
    return this.#store;
  }

  async close(): Promise<void> {
    await (await this.#store)?.close();
  }
}
