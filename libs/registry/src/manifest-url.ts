import { DfError } from '@dragonfly/errors';
import { httpUrl } from './guarded-http.js';

/** The parts of `<scheme>://<host>/v2/<repository>/manifests/<reference>`. */
export interface ManifestUrl {
  /** Scheme, host and port. */
  readonly origin: string;
  /** e.g. `library/alpine` */
  readonly repository: string;
  /** A tag, or a digest (with a colon). */
  readonly reference: string;
}

// The grammar of the OCI distribution specification, section "Pulling manifests".
const NAME = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(
  `^/v2/(${NAME}(?:/${NAME})*)/manifests/([A-Za-z0-9_][A-Za-z0-9._-]{0,127}|[a-z0-9+._-]+:[0-9a-fA-F]{32,})$`,
);
const MAX_URL_LENGTH = 4_096;

/** @throws DfError `invalid-argument` */
export function parseManifestUrl(text: string): ManifestUrl {
  if (text.length > MAX_URL_LENGTH) throw new DfError('invalid-argument', 'parse access url failed: url is too long');
  const url = httpUrl(text);
  const match = PATH.exec(url.pathname);
  const [, repository, reference] = match ?? [];
  if (repository === undefined || reference === undefined || url.username !== '' || url.password !== '') {
    throw new DfError(
      'invalid-argument',
      'parse access url failed: expected <scheme>://<host>/v2/<repository>/manifests/<tag or digest>',
    );
  }
  return { origin: url.origin, repository, reference };
}
