import { type Channel, channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { duplexPair } from 'node:stream';
import { DfError } from '@dragonfly/errors';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';

/*
 * Daemons written in Rust send `grpc-timeout: 10S` with long streams and mean the time until the response headers. A
 * grpc-js server takes it for the whole call, starts a timer before any interceptor runs, and cuts the stream. Values of
 * 2^31 ms and more overflow in the same code and end the call at once.
 *
 * The cure removes the header before grpc-js sees it: Node publishes every new HTTP/2 stream on a diagnostics channel,
 * with the headers object that the server's listeners are about to get. Node does not promise that it is the same
 * object, so each process proves it once with a call of its own before it serves.
 */

const TIMEOUT_HEADER = 'grpc-timeout';
const STREAM_CREATED_CHANNEL = 'http2.server.stream.created';

/** grpc-js computes the timeout as a 32-bit integer of milliseconds. */
const TIMEOUT_OVERFLOW_MS = 2 ** 31;

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Paths whose timeout is ignored → number of servers that asked for it. The channel is one for the whole process. */
const exemptPaths = new Map<string, number>();
let subscribedTo: Channel | undefined;

/**
 * Ignores the timeout of calls of these methods from now on, in every HTTP/2 server of the process.
 * @param paths e.g. `/scheduler.v2.Scheduler/AnnouncePeer`
 * @returns undoes it
 */
export function exemptFromTimeout(paths: readonly string[]): () => void {
  if (subscribedTo === undefined) {
    subscribedTo = channel(STREAM_CREATED_CHANNEL);
    subscribedTo.subscribe(dropTimeout);
  }
  for (const path of paths) exemptPaths.set(path, (exemptPaths.get(path) ?? 0) + 1);
  let isUndone = false;
  return () => {
    if (isUndone) return;
    isUndone = true;
    for (const path of paths) {
      const left = (exemptPaths.get(path) ?? 1) - 1;
      if (left === 0) exemptPaths.delete(path);
      else exemptPaths.set(path, left);
    }
  };
}

function dropTimeout(message: unknown): void {
  const { headers } = message as { headers: IncomingHttpHeaders };
  const timeout = headers[TIMEOUT_HEADER];
  if (timeout === undefined) return;
  if (exemptPaths.has(headers[':path'] ?? '') || timeoutMs(String(timeout)) >= TIMEOUT_OVERFLOW_MS) {
    delete headers[TIMEOUT_HEADER];
  }
}

/** Milliseconds of a `grpc-timeout` value, 0 when it is malformed (grpc-js answers those itself). */
function timeoutMs(value: string): number {
  const match = /^(\d{1,8})\s*([HMSmun])$/.exec(value);
  return match === null ? 0 : Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0);
}

let proof: Promise<void> | undefined;

/**
 * Proves, once per process, that an exempt stream outlives its timeout. Runs over an in-memory connection.
 * @throws DfError failed-precondition when the stream is cut: this version of Node or grpc-js needs another cure
 */
export async function proveTimeoutCure(): Promise<void> {
  proof ??= runProof();
  return proof;
}

const PROOF_PATH = '/dragonfly.selftest.Deadline/Stream';
const PROOF_TIMEOUT = '1m';
/** Well beyond the timeout of 1 ms; the whole proof is bounded by `PROOF_LIMIT_MS`. */
const PROOF_STREAM_MS = 25;
const PROOF_LIMIT_MS = 5000;

async function runProof(): Promise<void> {
  const undo = exemptFromTimeout([PROOF_PATH]);
  const server = new Server();
  const identity = (bytes: Buffer): Buffer => bytes;
  server.addService(
    {
      stream: {
        path: PROOF_PATH,
        requestStream: true,
        responseStream: true,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    {
      stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
        setTimeout(() => call.end(), PROOF_STREAM_MS);
      },
    },
  );
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const [clientSide, serverSide] = duplexPair();
  injector.injectConnection(serverSide);
  const session = connect('http://localhost', { createConnection: () => clientSide });
  try {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: PROOF_PATH,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
      [TIMEOUT_HEADER]: PROOF_TIMEOUT,
    });
    let grpcStatus: unknown;
    const note = (headers: IncomingHttpHeaders): void => {
      grpcStatus = headers['grpc-status'] ?? grpcStatus;
    };
    stream.on('response', note).on('trailers', note).resume();
    await once(stream, 'end', { signal: AbortSignal.timeout(PROOF_LIMIT_MS) });
    if (String(grpcStatus) !== '0') {
      throw new DfError(
        'failed-precondition',
        `streams would be cut by their grpc-timeout header (status ${String(grpcStatus)}): Node ${process.version} is not supported`,
      );
    }
  } finally {
    session.destroy();
    injector.destroy();
    server.forceShutdown();
    undo();
  }
}
