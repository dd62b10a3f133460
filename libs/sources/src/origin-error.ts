import { DfError } from '@dragonfly/errors';

/** What a caller can tell its own caller about an origin's refusal; the daemon puts it on the wire. */
export interface OriginErrorDetails {
  /** Absent when there was no understandable answer. */
  readonly statusCode?: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly message: string;
  /** The content is not what an earlier answer described. */
  readonly changed?: true;
}

/** Answers that another attempt may change. */
const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** @param url shown without its user, password and query */
export function originError(url: URL, details: OriginErrorDetails, cause?: unknown): DfError {
  return new DfError('origin', `${displayUrl(url)}: ${details.message}`, {
    cause,
    details: { ...details },
    retryable: details.statusCode !== undefined && RETRYABLE_STATUS.has(details.statusCode),
  });
}

/** The URL without what may be secret: user name, password, query. */
export function displayUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
