import type { Client, ServiceError } from '@grpc/grpc-js';

const PATH = '/grpc.health.v1.Health/Check';
/** `HealthCheckResponse.status`: field 1, varint, 1 = SERVING. */
const SERVING = Buffer.from([0x08, 0x01]);

/**
 * Asks `grpc.health.v1.Health/Check` for the whole server (service "").
 * @param client any client of the server; its connection is used
 * @returns whether it answered SERVING in time; never throws
 */
export async function isServing(client: Client, deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return false;
  return new Promise((resolve) => {
    const onAbort = (): void => {
      call.cancel();
    };
    const call = client.makeUnaryRequest(
      PATH,
      () => Buffer.alloc(0),
      (bytes: Buffer) => bytes,
      {},
      { deadline: Date.now() + deadlineMs },
      (error: ServiceError | null, answer?: Buffer) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(error === null && answer !== undefined && answer.subarray(0, 2).equals(SERVING));
      },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
