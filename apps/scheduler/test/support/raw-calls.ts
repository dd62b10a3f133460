import { type Client, type MethodDefinition, type ServiceError, status } from '@grpc/grpc-js';

const UNARY_DEADLINE_MS = 10_000;

/** Calls a unary method with these bytes. @returns the status code */
export function callRaw(client: Client, method: MethodDefinition<unknown, unknown>, bytes: Buffer): Promise<status> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method.path,
      (value: Buffer) => value,
      (value: Buffer) => value,
      bytes,
      { deadline: Date.now() + UNARY_DEADLINE_MS },
      (error: ServiceError | null) => resolve(error?.code ?? status.OK),
    );
  });
}

/** How a raw stream is left. */
export type Parting = 'half-close' | 'cancel';

/**
 * Sends these messages on a stream, then leaves it.
 * @returns the status code when the stream is over
 */
export function streamRaw(
  client: Client,
  method: MethodDefinition<unknown, unknown>,
  messages: readonly Buffer[],
  parting: Parting,
): Promise<status> {
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(
      method.path,
      (value: Buffer) => value,
      (value: Buffer) => value,
      {},
    );
    call.on('data', () => undefined);
    call.on('error', () => undefined);
    call.on('status', ({ code }: { code: status }) => resolve(code));
    for (const message of messages) call.write(message);
    if (parting === 'half-close') call.end();
    else setImmediate(() => call.cancel());
  });
}
