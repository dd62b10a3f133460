import { DfError } from '@dragonfly/errors';
import { commonV2 } from '@dragonfly/proto';
import { type AddressGuard, ImageResolver, parsePlatform } from '@dragonfly/registry';
import { MASK } from '../jobs/masking.js';
import type { PreheatArgs } from '../jobs/job-requests.js';
import type { PreheatWork } from '../jobs/dispatch/scheduler-work.js';
import type { DirectoryLister } from './directory-lister.js';
import { objectStorageOf, textOf } from './object-storage-args.js';
import {
  DEFAULT_CONCURRENT_PEERS,
  DEFAULT_CONCURRENT_TASKS,
  filteredParamsOf,
  scopeOf,
  urlsOf,
} from './preheat-arguments.js';

/** Most tasks of one preheat. */
const MAX_TASKS = 100_000;

/** Finds out which tasks a preheat consists of. */
export class PreheatPlanner {
  private readonly images: ImageResolver;

  constructor(
    guard: AddressGuard,
    private readonly lister: DirectoryLister,
  ) {
    this.images = new ImageResolver({ guard });
  }

  /**
   * Refuses what can be seen to be wrong without asking anybody.
   * @throws DfError `failed-precondition` in the original's words
   */
  check(args: PreheatArgs): void {
    if (args.type === 'image' && !args.url) {
      throw new DfError('failed-precondition', 'invalid params: url is required');
    }
    if (args.type === 'file' && urlsOf(args).length === 0) {
      throw new DfError('failed-precondition', 'invalid params: url or urls is required');
    }
    if (args.platform) {
      parsePlatform(args.platform);
    }
    for (const text of [...Object.values(args.headers ?? {}), args.password ?? '']) {
      if (text === MASK) {
        throw new DfError('invalid-argument', 'args: a masked secret was sent back instead of the secret');
      }
    }
  }

  /**
   * The tasks, as downloads for the hosts.
   * @throws DfError of the registry, the listing or the arguments
   */
  async plan(args: PreheatArgs, signal: AbortSignal): Promise<PreheatWork> {
    this.check(args);
    const shared = {
      kind: 'preheat' as const,
      scope: scopeOf(args),
      ips: args.ips ?? [],
      count: args.count || undefined,
      percentage: args.percentage || undefined,
      concurrentTaskCount: args.concurrent_task_count || DEFAULT_CONCURRENT_TASKS,
      concurrentPeerCount: args.concurrent_peer_count || DEFAULT_CONCURRENT_PEERS,
    };
    if (args.type === 'image') {
      return { ...shared, ...(await this.imageDownloads(args, signal)) };
    }
    const urls: string[] = [];
    for (const url of urlsOf(args)) {
      const files = await this.lister.expand(url, args, signal);
      if (urls.length + files.length > MAX_TASKS) {
        throw new DfError('resource-exhausted', `the preheat has more than ${MAX_TASKS} files`);
      }
      urls.push(...files);
    }
    const headers = args.headers ?? {};
    return { ...shared, downloads: [...new Set(urls)].map((url) => downloadOf(args, url, headers)), image: undefined };
  }

  private async imageDownloads(
    args: PreheatArgs,
    signal: AbortSignal,
  ): Promise<Pick<PreheatWork, 'downloads' | 'image'>> {
    const url = args.url ?? '';
    const headers = args.headers ?? {};
    const platforms = args.platforms ?? (args.platform ? [args.platform] : undefined);
    const { blobs, authorization } = await this.images.resolve({
      url,
      headers,
      signal,
      ...(platforms ? { platforms: platforms.includes('all') ? 'all' : platforms } : {}),
      ...(args.username ? { username: args.username, password: args.password ?? '' } : {}),
    });
    const withoutAuthorization = Object.fromEntries(
      Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
    );
    const requestHeader = { ...withoutAuthorization, ...(authorization ? { Authorization: authorization } : {}) };
    return {
      downloads: blobs.map((blob) => ({
        ...downloadOf(args, blob.url, requestHeader),
        // As container engines ask for blobs through the proxy of a daemon: under another id they would not be found.
        enableTaskIdBasedBlobDigest: args.enable_task_id_based_blob_digest ?? true,
      })),
      image: {
        url,
        headers,
        username: args.username ?? '',
        password: args.password ?? '',
        platform: args.platform ?? '',
      },
    };
  }
}

function downloadOf(args: PreheatArgs, url: string, requestHeader: Record<string, string>): commonV2.Download {
  return commonV2.Download.fromPartial({
    url,
    type: commonV2.TaskType.STANDARD,
    tag: args.tag || undefined,
    application: args.application || undefined,
    pieceLength: args.piece_length ? BigInt(args.piece_length) : undefined,
    filteredQueryParams: filteredParamsOf(args.filtered_query_params),
    requestHeader,
    schedulingPolicy: commonV2.SchedulingPolicy.ALWAYS,
    objectStorage: args.object_storage && objectStorageOf(args.object_storage),
    hdfs: args.hdfs && { delegationToken: textOf(args.hdfs, 'delegation_token') },
  });
}
