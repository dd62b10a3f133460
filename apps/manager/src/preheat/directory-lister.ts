import { DfError } from '@dragonfly/errors';
import type { GuardedHttp } from '@dragonfly/registry';
import type { PreheatArgs } from '../jobs/job-requests.js';
import { plainUrl } from '../jobs/masking.js';
import { hrefsOf, namesInJsonListing } from './directory-index.js';
import { huggingFaceFiles, isHuggingFaceUrl } from './hugging-face.js';
import type { SeedLister } from './seed-lister.js';

/** Entries of one preheat's directories at most, and how deep they may lie. */
const MAX_ENTRIES = 100_000;
const MAX_DEPTH = 32;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const INDEX_TIMEOUT_MS = 60_000;

export interface DirectoryListerOptions {
  readonly http: GuardedHttp;
  readonly seeds: SeedLister;
  /** Of the Hugging Face API, without a slash at the end. */
  readonly huggingFaceEndpoint: string;
}

/** Turns the URL of a directory, or of a repository, into those of its files. */
export class DirectoryLister {
  constructor(private readonly options: DirectoryListerOptions) {}

  /**
   * - `hf://…` the files of a Hugging Face repository
   * - http(s) URL ending in `/`: the files that its index page (or JSON index) names; all below with `recursive`
   * - other URL ending in `/` (object storages, HDFS): the files that a seed peer lists
   * - anything else: itself
   * @throws DfError `not-found` for a directory without files, and what the origin says
   */
  async expand(url: string, args: PreheatArgs, signal: AbortSignal): Promise<string[]> {
    if (isHuggingFaceUrl(url)) {
      const { http, huggingFaceEndpoint } = this.options;
      return huggingFaceFiles(http, huggingFaceEndpoint, url, args.headers ?? {}, signal);
    }
    const parsed = URL.parse(url);
    if (!parsed) {
      throw new DfError('invalid-argument', `${JSON.stringify(url.slice(0, 256))} is no URL`);
    }
    if (!parsed.pathname.endsWith('/') || (parsed.protocol.startsWith('http') && args.recursive === false)) {
      return [url];
    }
    const files = parsed.protocol.startsWith('http')
      ? await this.walk(parsed, args, signal)
      : await this.options.seeds.list(url, args, signal);
    if (files.length === 0) {
      throw new DfError('not-found', `${plainUrl(url)} is a directory without files`);
    }
    return files;
  }

  private async walk(root: URL, args: PreheatArgs, signal: AbortSignal): Promise<string[]> {
    const files: string[] = [];
    const seen = new Set([root.href]);
    let level = [root];
    for (let depth = 0; level.length > 0 && depth < MAX_DEPTH; depth += 1) {
      const below: URL[] = [];
      for (const directory of level) {
        for (const entry of await this.entriesOf(directory, args, signal)) {
          if (seen.has(entry.href)) {
            continue;
          }
          seen.add(entry.href);
          if (seen.size > MAX_ENTRIES) {
            throw new DfError('resource-exhausted', `${plainUrl(root.href)} has more than ${MAX_ENTRIES} entries`);
          }
          if (entry.pathname.endsWith('/')) {
            below.push(entry);
          } else {
            files.push(entry.href);
          }
        }
      }
      level = args.recursive ? below : [];
    }
    return files;
  }

  /** Entries right below the directory; links that lead elsewhere are none. */
  private async entriesOf(directory: URL, args: PreheatArgs, signal: AbortSignal): Promise<URL[]> {
    const answer = await this.options.http.request({
      url: directory.href,
      headers: { ...args.headers, accept: 'application/json, text/html;q=0.9, */*;q=0.1' },
      maxBodyBytes: MAX_INDEX_BYTES,
      timeoutMs: INDEX_TIMEOUT_MS,
      signal,
    });
    if (answer.statusCode !== 200) {
      throw new DfError('origin', `${plainUrl(directory.href)}: the index answers with status ${answer.statusCode}`);
    }
    const text = answer.body.toString('utf8');
    const names = (answer.headers['content-type'] ?? '').includes('json') ? namesInJsonListing(text) : hrefsOf(text);
    return names.flatMap((name) => {
      const entry = URL.parse(name, directory.href);
      if (!entry || entry.origin !== directory.origin) {
        return [];
      }
      // Links for sorting name the directory itself with a query.
      entry.hash = '';
      entry.search = '';
      const rest = entry.pathname.slice(directory.pathname.length);
      const isBelow = entry.pathname.startsWith(directory.pathname) && /^[^/]+\/?$/.test(rest);
      return isBelow ? [entry] : [];
    });
  }
}
