import { DfError } from '@dragonfly/errors';
import type { StoredTask } from '@dragonfly/piece-store';
import type { SourceBackend, SourceRequest } from '@dragonfly/sources';
import type { DownloadRequest } from '../download/download-request.js';

/** Piece length of a content whose length nobody knows yet: 4 MiB. */
export const UNKNOWN_LENGTH_PIECE_BYTES = 4 * 1024 * 1024;

/** What the sources are asked with. */
export interface SourceAccess {
  readonly backend: SourceBackend;
  /** Everything but the signal. */
  readonly request: Omit<SourceRequest, 'signal'>;
}

/** Names under which an origin tells its versions apart; kept with the task to notice a change. */
const ETAG = 'etag';
const LAST_MODIFIED = 'last-modified';

/**
 * How to read the origin of a stored task so that a change of the content is noticed: pieces of two versions must never
 * end up in one file.
 */
export function sourceAccessOf(
  backend: SourceBackend,
  request: DownloadRequest,
  task?: StoredTask,
  /** Its servers disagree about the version of one content: only the length is compared. */
  isInconsistent = false,
): SourceAccess {
  const stored = task?.meta.responseHeader ?? {};
  const etag = isInconsistent ? undefined : stored[ETAG];
  const lastModified = isInconsistent ? undefined : stored[LAST_MODIFIED];
  return {
    backend,
    request: {
      url: request.url,
      headers: { ...request.headers },
      ...(request.download.certificateChain.length === 0
        ? {}
        : { caCertificates: request.download.certificateChain.map(pemOfDer) }),
      ...(task === undefined
        ? {}
        : {
            expected: {
              ...(task.contentLengthBytes === undefined ? {} : { contentLengthBytes: task.contentLengthBytes }),
              ...(etag === undefined ? {} : { etag }),
              ...(lastModified === undefined ? {} : { lastModified }),
            },
          }),
    },
  };
}

/** Whether the origin said that it no longer has the content the task was begun with. */
export function isContentChange(error: unknown): boolean {
  return error instanceof DfError && error.code === 'origin' && error.details['changed'] === true;
}

/** Certificates travel as DER in requests. */
function pemOfDer(der: Buffer): string {
  if (der.includes('-----BEGIN')) return der.toString('utf8');
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
