import { openSpan } from '@dragonfly/telemetry/spans';
import type { SourceRequest } from '../source-backend.js';

/** What a span tells of an answer, and what ends it. */
interface SpannedAnswer {
  readonly url: URL;
  readonly head: { readonly statusCode: number };
  release(reuse: boolean): void;
}

/**
 * Sends a request inside a span that lasts until its body has been read. The origin is told nothing of the trace: what
 * it gets is what the user asked for, and it may be anybody's.
 */
export async function sentWithSpan<Answer extends SpannedAnswer>(
  method: string,
  request: SourceRequest,
  range: string | undefined,
  send: () => Promise<Answer>,
): Promise<Answer> {
  const span = openSpan(method, {
    kind: 'client',
    attributes: {
      'http.request.method': method,
      'url.full': plainUrl(request.url),
      'http.request.header.range': range,
    },
  });
  if (span === undefined) return send();
  try {
    const answer = await span.run(send);
    span.set({ 'http.response.status_code': answer.head.statusCode, 'server.address': answer.url.host });
    if (answer.head.statusCode >= 400) span.fail(`answered ${answer.head.statusCode}`);
    return {
      ...answer,
      release: (reuse) => {
        span.end();
        answer.release(reuse);
      },
    };
  } catch (error) {
    span.fail(Error.isError(error) ? error.message : String(error));
    span.end();
    throw error;
  }
}

/** Without user information and query, which hold secrets. */
function plainUrl(text: string): string {
  const url = URL.parse(text);
  return url === null ? '' : `${url.origin}${url.pathname}`;
}
