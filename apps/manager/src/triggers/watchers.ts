import { createHash } from 'node:crypto';
import { DfError } from '@dragonfly/errors';
import type { JsonObject } from '@dragonfly/persistence';
import { AddressGuard, GuardedHttp, TagReader } from '@dragonfly/registry';
import { Injectable } from '@nestjs/common';
import type { PreheatArgs } from '../jobs/job-requests.js';
import { plainUrl } from '../jobs/masking.js';
import { DirectoryLister } from '../preheat/directory-lister.js';
import { matchesAny } from './name-pattern.js';
import type { TriggerJob, WatchSpec } from './trigger-requests.js';

/** Tags asked for their digest at one look. */
const MAX_TAGS = 200;
/** Files whose state is looked at in a directory. */
const MAX_FILES = 2_000;
const STAT_TIMEOUT_MS = 30_000;

/** What a look has found. */
export interface Sighting {
  /** To be kept until the next look. */
  readonly seen: JsonObject;
  /** URLs of what is new, or changed. */
  readonly news: readonly string[];
  /** Of those, what was there before: its old content is cached under the same id. */
  readonly changed: readonly string[];
}

/** Looks whether a registry or a place of files has something new. The first look only notes what is there. */
@Injectable()
export class Watchers {
  private readonly tags: TagReader;

  constructor(
    guard: AddressGuard,
    private readonly http: GuardedHttp,
    private readonly lister: DirectoryLister,
  ) {
    this.tags = new TagReader(guard);
  }

  async look(watch: WatchSpec, job: TriggerJob, before: JsonObject, signal: AbortSignal): Promise<Sighting> {
    const marks = (before['marks'] ?? undefined) as Readonly<Record<string, string>> | undefined;
    const found =
      watch.type === 'registry' ? await this.tagMarks(watch, job, signal) : await this.fileMarks(watch, job, signal);
    const news = marks === undefined ? [] : Object.keys(found).filter((url) => found[url] !== marks[url]);
    // The same digest of another tag is another image; the same URL of a registry never has stale blobs.
    const changed = watch.type === 'registry' ? [] : news.filter((url) => marks?.[url] !== undefined);
    return { seen: { marks: found }, news, changed };
  }

  private async tagMarks(watch: WatchSpec, { args }: TriggerJob, signal: AbortSignal): Promise<Record<string, string>> {
    const digests = await this.tags.read({
      url: watch.url,
      select: (tag) => matchesAny(tag, watch.tags),
      maxTags: MAX_TAGS,
      headers: args.headers,
      ...(args.username ? { username: args.username, password: args.password ?? '' } : {}),
      signal,
    });
    const base = watch.url.replace(/\/+$/, '');
    return Object.fromEntries([...digests].map(([tag, digest]) => [`${base}/manifests/${tag}`, digest]));
  }

  private async fileMarks(
    watch: WatchSpec,
    { args }: TriggerJob,
    signal: AbortSignal,
  ): Promise<Record<string, string>> {
    const urls = await this.lister.expand(watch.url, args, signal);
    if (urls.length > MAX_FILES) {
      throw new DfError('resource-exhausted', `${plainUrl(watch.url)} has more than ${MAX_FILES} files to watch`);
    }
    const found: Record<string, string> = {};
    for (const url of urls) {
      found[url] = url.startsWith('http') ? await this.fileMark(url, args, signal) : '';
    }
    return found;
  }

  /** What changes when the content does: entity tag, else time and length. */
  private async fileMark(url: string, args: PreheatArgs, signal: AbortSignal): Promise<string> {
    const { statusCode, headers } = await this.http.request({
      url,
      method: 'HEAD',
      headers: args.headers ?? {},
      timeoutMs: STAT_TIMEOUT_MS,
      signal,
    });
    if (statusCode !== 200) {
      throw new DfError('origin', `${plainUrl(url)} is answered with status ${statusCode}`);
    }
    const text = headers['etag'] ?? `${headers['last-modified'] ?? ''} ${headers['content-length'] ?? ''}`;
    return createHash('sha256').update(text).digest('base64url').slice(0, 22);
  }
}
