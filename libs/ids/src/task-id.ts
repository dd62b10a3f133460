import { createHash } from 'node:crypto';
import { asTaskId, type TaskId } from './brand.js';
import { canonicalUrl, type UrlRule } from './canonical-url.js';
import { type Digest, tryParseDigest } from './digest.js';

/** What a URL based task id is made of. */
export interface UrlTaskIdInput {
  readonly url: string;
  /** Names of query parameters that do not belong to the identity. @default [] (and the URL is hashed as it is) */
  readonly filteredQueryParams?: readonly string[] | undefined;
  readonly tag?: string | undefined;
  readonly application?: string | undefined;
  /** Revision of a Hugging Face, ModelScope or OpenCSG repository. */
  readonly revision?: string | undefined;
  /** The *requested* piece length in bytes, never a derived one. */
  readonly pieceLengthBytes?: number | bigint | undefined;
  /** @default '1.5.10' */
  readonly urlRule?: UrlRule | undefined;
}

/**
 * SHA-256 over URL, tag, application, revision, decimal piece length and the word STANDARD, joined without separators;
 * absent parts are empty. Range, digest, headers, priority and task type are not part of it.
 *
 * @throws IdError `invalid-url` when filters are given and the URL cannot be parsed
 */
export function taskIdOfUrl(input: UrlTaskIdInput): TaskId {
  return sha256Id([
    canonicalUrl(input.url, input.filteredQueryParams ?? [], input.urlRule),
    input.tag,
    input.application,
    input.revision,
    decimal(input.pieceLengthBytes),
    'STANDARD',
  ]);
}

/** The id of a task whose requester gave the text that names it (`content_for_calculating_task_id`). */
export function taskIdOfContent(content: string): TaskId {
  return sha256Id([content]);
}

/**
 * The id of an OCI blob (`…/v2/<name>/blobs/<digest>`) or of a manifest asked for by digest: the encoded part of the
 * digest, unhashed, so that all registries and mirrors share one task. crc32, sha256 and sha512 only.
 *
 * @returns `undefined` for every other URL (a manifest by tag, another algorithm, a malformed digest): the caller goes
 * on with {@link taskIdOfUrl}. The encoded part is checked to be hex, therefore safe in a path.
 */
export function taskIdOfBlobDigestUrl(url: string): TaskId | undefined {
  const digest = digestAfter(url, '/blobs/') ?? digestAfter(url, '/manifests/');
  if (digest === undefined) return undefined;
  switch (digest.algorithm) {
    case 'crc32':
    case 'sha256':
    case 'sha512':
      return asTaskId(digest.encoded);
    case 'md5':
    case 'sha1':
    case 'blake3':
      return undefined;
  }
}

/** What a persistent task (object storage behind) is named by. */
export interface PersistentTaskIdInput {
  readonly url: string;
  readonly region: string;
  readonly endpoint: string;
}

/** SHA-256 over URL, region, endpoint and the word PERSISTENT. The URL is taken as it is. */
export function persistentTaskId(input: PersistentTaskIdInput): TaskId {
  return sha256Id([input.url, input.region, input.endpoint, 'PERSISTENT']);
}

/** What a persistent cache task is named by besides its content. */
export interface PersistentCacheTaskIdInput {
  readonly tag?: string | undefined;
  readonly application?: string | undefined;
  readonly pieceLengthBytes?: number | bigint | undefined;
}

/** The id of a persistent cache task whose requester gave the text that names it. */
export function persistentCacheTaskId(content: string): TaskId {
  return sha256Id([content]);
}

/**
 * SHA-256 over the bytes of a file, tag, application, decimal piece length and the word PERSISTENT_CACHE.
 *
 * @param content the file's bytes in order, such as a read stream; hashing large files is CPU bound and belongs in a
 * worker thread. Errors of the iterable are passed on
 */
export async function persistentCacheTaskIdOfFile(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  input: PersistentCacheTaskIdInput = {},
): Promise<TaskId> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  for (const part of [input.tag, input.application, decimal(input.pieceLengthBytes), 'PERSISTENT_CACHE']) {
    if (part !== undefined) hash.update(part);
  }
  return asTaskId(hash.digest('hex'));
}

/** The id of one piece in logs and in the real client's error texts: `<task id>-<number>`. */
export function pieceId(taskId: string, pieceNumber: number): string {
  return `${taskId}-${pieceNumber}`;
}

function sha256Id(parts: readonly (string | undefined)[]): TaskId {
  const hash = createHash('sha256');
  for (const part of parts) {
    if (part !== undefined) hash.update(part);
  }
  return asTaskId(hash.digest('hex'));
}

function decimal(value: number | bigint | undefined): string | undefined {
  return value === undefined ? undefined : value.toString(10);
}

/**
 * The digest in `<scheme>://<host>/v2/<name><marker><digest>[?query]`. The last marker counts. Searched for by hand:
 * the regular expression with its three greedy parts takes cubic time on a hostile URL.
 */
function digestAfter(url: string, marker: '/blobs/' | '/manifests/'): Digest | undefined {
  const markerAt = url.lastIndexOf(marker);
  if (markerAt < 0) return undefined;
  const schemeEnd = url.indexOf('://');
  if (schemeEnd < 0) return undefined;
  const apiAt = url.indexOf('/v2/', schemeEnd + '://'.length);
  if (apiAt < 0 || apiAt + '/v2/'.length > markerAt) return undefined;
  const digestAt = markerAt + marker.length;
  const queryAt = url.indexOf('?', digestAt);
  return tryParseDigest(url.slice(digestAt, queryAt < 0 ? undefined : queryAt));
}
