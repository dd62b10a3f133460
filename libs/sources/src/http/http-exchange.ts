import { DfError } from '@dragonfly/errors';
import { originError } from '../origin-error.js';
import type { Connection } from './connection.js';
import {
  framingOf,
  HttpSyntaxError,
  MAX_HEAD_BYTES,
  parseResponseHead,
  type BodyFraming,
  type ResponseHead,
} from './response-head.js';

/** Interim answers (100, 102, 103) before the real one. */
const MAX_INTERIM_ANSWERS = 10;
const HEAD_END = Buffer.from('\r\n\r\n');

export interface ExchangeOptions {
  readonly url: URL;
  readonly method: 'GET' | 'HEAD';
  readonly requestHead: Buffer;
  readonly headersTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Sends a request and reads the head of its answer. On failure the connection is unusable.
 * @throws DfError `origin` for an answer that is no HTTP/1.1, `deadline-exceeded`, `unavailable`, `cancelled`
 */
export async function exchangeHeads(
  connection: Connection,
  options: ExchangeOptions,
): Promise<{ head: ResponseHead; framing: BodyFraming }> {
  const { signal, headersTimeoutMs, url } = options;
  const { reader, socket } = connection;
  const onAbort = (): void => {
    reader.fail(DfError.from(signal.reason, 'cancelled'));
    connection.destroy();
  };
  if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    reader.fail(new DfError('deadline-exceeded', `${url.host}: no answer within ${headersTimeoutMs} ms`));
    connection.destroy();
  }, headersTimeoutMs);
  try {
    connection.requestCount += 1;
    socket.write(options.requestHead);
    for (let interim = 0; interim <= MAX_INTERIM_ANSWERS; interim += 1) {
      const bytes = await reader.readThrough(
        HEAD_END,
        MAX_HEAD_BYTES,
        () => new HttpSyntaxError(`the head is longer than ${MAX_HEAD_BYTES} bytes`),
      );
      if (bytes === undefined) {
        throw new DfError('unavailable', `${url.host}: closed the connection without an answer`, {
          details: { isConnected: true },
        });
      }
      const head = parseResponseHead(bytes);
      if (head.statusCode === 101) throw new HttpSyntaxError('an upgrade that nobody asked for');
      if (head.statusCode >= 200) return { head, framing: framingOf(head, options.method) };
    }
    throw new HttpSyntaxError(`more than ${MAX_INTERIM_ANSWERS} interim answers`);
  } catch (error) {
    if (error instanceof HttpSyntaxError) {
      throw originError(url, { headers: {}, message: `malformed answer: ${error.message}` }, error);
    }
    throw DfError.from(error, 'unavailable');
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
