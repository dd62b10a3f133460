import { DfError } from '@dragonfly/errors';
import { type GuardedHttp, nextPage } from '@dragonfly/registry';

/** Pages of a listing that are read; a page has up to 1000 entries. */
const MAX_PAGES = 100;
const KINDS: Readonly<Record<string, string>> = { models: '', datasets: 'datasets/', spaces: 'spaces/' };

/** A repository, or a part of it. */
export interface HuggingFaceUrl {
  /** `models`, `datasets` or `spaces`. */
  readonly kind: string;
  /** `owner/name`, or a bare name of the early models. */
  readonly repository: string;
  readonly revision: string;
  /** Empty for everything; a file, or a directory. */
  readonly path: string;
}

export function isHuggingFaceUrl(url: string): boolean {
  return /^hf:\/\//i.test(url);
}

/**
 * `hf://[models|datasets|spaces/]<owner>/<name>[@<revision>][/<path>]`; revision `main` unless named.
 * @throws DfError `invalid-argument`
 */
export function parseHuggingFaceUrl(url: string): HuggingFaceUrl {
  const parts = url
    .replace(/^hf:\/\//i, '')
    .split('/')
    .filter((part) => part !== '');
  const kind = parts[0] !== undefined && parts[0] in KINDS ? parts[0] : 'models';
  const rest = parts[0] === kind ? parts.slice(1) : parts;
  const [owner = '', named = '', ...path] = rest;
  const [name = '', revision = 'main'] = named.split('@');
  const isWord = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text);
  if (!isWord(owner) || !isWord(name) || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(revision)) {
    throw new DfError('invalid-argument', 'hf URL: must be hf://[datasets/|spaces/]owner/name[@revision][/path]');
  }
  return { kind, repository: `${owner}/${name}`, revision, path: path.join('/') };
}

/**
 * URLs under which the files of the repository are downloaded, in the order of the listing.
 * @param endpoint of the hub, without a slash at the end
 * @throws DfError `not-found`, `unauthenticated`, `origin`
 */
export async function huggingFaceFiles(
  http: GuardedHttp,
  endpoint: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string[]> {
  const { kind, repository, revision, path } = parseHuggingFaceUrl(url);
  const files: string[] = [];
  let page: string | undefined = `${endpoint}/api/${kind}/${repository}/tree/${revision}?recursive=true`;
  for (let count = 0; page !== undefined; count += 1) {
    if (count === MAX_PAGES) {
      throw new DfError('resource-exhausted', `${repository} has more than ${MAX_PAGES} pages of files`);
    }
    const answer = await http.request({ url: page, headers: { ...headers, accept: 'application/json' }, signal });
    if (answer.statusCode !== 200) {
      const code = answer.statusCode === 401 || answer.statusCode === 403 ? 'unauthenticated' : 'origin';
      throw new DfError(
        answer.statusCode === 404 ? 'not-found' : code,
        `Hugging Face: ${repository}@${revision} is answered with status ${answer.statusCode}`,
      );
    }
    for (const entry of entriesOf(answer.body.toString('utf8'))) {
      if (path === '' || entry === path || entry.startsWith(`${path}/`)) {
        const escaped = entry.split('/').map(encodeURIComponent).join('/');
        files.push(`${endpoint}/${KINDS[kind] ?? ''}${repository}/resolve/${revision}/${escaped}`);
      }
    }
    page = nextPage(answer.headers['link'], endpoint);
  }
  if (files.length === 0) {
    throw new DfError('not-found', `Hugging Face: ${repository}@${revision} has no such file`);
  }
  return files;
}

function entriesOf(text: string): string[] {
  const listing = JSON.parse(text) as unknown;
  return (Array.isArray(listing) ? listing : []).flatMap((entry: unknown) => {
    const { type, path } = (entry ?? {}) as { type?: unknown; path?: unknown };
    return type === 'file' && typeof path === 'string' ? [path] : [];
  });
}
