import { DfError } from '@dragonfly/errors';
import type { extObjectStorage } from '@dragonfly/proto';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { Controller, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { AccessTokenVerifier } from '../auth/access-token-verifier.js';
import { GrpcErrorFilter } from '../grpc/grpc-error.filter.js';
import { ObjectStorage } from './object-storage.js';

const SERVICE = 'ObjectStorageService';
/** Scope of a personal access token that may read the credentials. */
export const OBJECT_STORAGE_SCOPE = 'object-storage';

/** dragonfly.ext.v1.ObjectStorageService: where objects are kept, for daemons that prove who they are. */
@Controller()
@UseFilters(GrpcErrorFilter)
export class ObjectStorageGrpcController {
  constructor(
    private readonly storage: ObjectStorage,
    private readonly tokens: AccessTokenVerifier,
  ) {}

  @GrpcMethod(SERVICE, 'GetObjectStorage')
  async getObjectStorage(
    _request: extObjectStorage.GetObjectStorageRequest,
    _metadata: unknown,
    call: ServerUnaryCall<unknown, unknown>,
  ): Promise<extObjectStorage.ObjectStorage> {
    await this.checkIdentity(call);
    const { name, region, endpoint, accessKey, secretKey, s3ForcePathStyle } = this.storage.options;
    const scheme = /^http:/i.test(endpoint) ? 'http' : 'https';
    return { name, region, endpoint, accessKey, secretKey, s3ForcePathStyle, scheme };
  }

  @GrpcMethod(SERVICE, 'ListBuckets')
  async listBuckets(
    _request: extObjectStorage.ListBucketsRequest,
    _metadata: unknown,
    call: ServerUnaryCall<unknown, unknown>,
  ): Promise<extObjectStorage.ListBucketsResponse> {
    await this.checkIdentity(call);
    const buckets = await (await this.storage.store()).listBuckets();
    return { buckets: buckets.map(({ name }) => ({ name })) };
  }

  /** A client certificate has been checked with the connection; without one a token must come with the call. */
  private async checkIdentity(call: ServerUnaryCall<unknown, unknown>): Promise<void> {
    if (call.getAuthContext().sslPeerCertificate?.serialNumber) return;
    const [authorization] = call.metadata.get('authorization');
    const token = /^bearer (.+)$/i.exec(String(authorization ?? ''))?.[1]?.trim();
    if (token === undefined) {
      throw new DfError(
        'unauthenticated',
        'the credentials of the object storage go only to callers with a client certificate or a personal access token',
      );
    }
    await this.tokens.verify(token, OBJECT_STORAGE_SCOPE);
  }
}
