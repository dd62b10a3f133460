import { Client, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { type ClientTls, createGrpcClient, unary, type UnaryMethod } from '@dragonfly/rpc';

/** Tells whether a daemon at an address serves. */
export interface SeedProbe {
  /** @returns false for anything but a clear yes; never rejects */
  isServing(address: string, signal: AbortSignal): Promise<boolean>;
}

const CHECK_PATH = '/grpc.health.v1.Health/Check';
const CHECK_DEADLINE_MS = 2000;

/** HealthCheckRequest with an empty service name: no bytes at all. */
const EMPTY_REQUEST = Buffer.alloc(0);
/** Tag of HealthCheckResponse.status (field 1, varint) and its value SERVING. */
const STATUS_TAG = 0x08;
const SERVING = 1;

/** grpc.health.v1 Check for the empty service name, 2 s deadline, a fresh connection each time. */
export class GrpcSeedProbe implements SeedProbe {
  constructor(private readonly tls: ClientTls | undefined) {}

  async isServing(address: string, signal: AbortSignal): Promise<boolean> {
    const client = createGrpcClient(HealthClient, address, this.tls === undefined ? {} : { tls: this.tls });
    try {
      const status = await unary<Buffer, number>(client.check, EMPTY_REQUEST, {
        deadlineMs: CHECK_DEADLINE_MS,
        signal,
      });
      return status === SERVING;
    } catch {
      return false; // Refused, silent or no health service: not usable, and asked again later.
    } finally {
      client.close();
    }
  }
}

/** The one method of the health service that is needed; its messages are too small for a generated codec. */
class HealthClient extends Client {
  constructor(address: string, credentials: ChannelCredentials, options?: Partial<ChannelOptions>) {
    super(address, credentials, options);
  }

  readonly check: UnaryMethod<Buffer, number> = (request, metadata, options, callback) =>
    this.makeUnaryRequest<Buffer, number>(
      CHECK_PATH,
      (bytes) => bytes,
      (bytes) => (bytes[0] === STATUS_TAG ? (bytes[1] ?? 0) : 0),
      request,
      metadata,
      options,
      // grpc-js calls back with a value whenever there is no error.
      (error, status) => callback(error, status ?? 0),
    );
}
