import { DEFAULT_FILTERED_QUERY_PARAMS } from '@dragonfly/ids';
import { commonV2, type Duration, durationToMs, msToDuration, type schedulerV2 } from '@dragonfly/proto';
import type { ImageBlob } from '@dragonfly/registry';
import {
  DEFAULT_CONCURRENT_PEER_COUNT,
  DEFAULT_CONCURRENT_TASK_COUNT,
  DEFAULT_JOB_TIMEOUT_MS,
  type HostTarget,
  type PreheatScope,
  type PreheatSpec,
} from '../jobs/job-spec.js';

/** What requests for images and files, preheating and looking, have in common as far as a task id goes. */
type ContentRequest = Pick<
  schedulerV2.PreheatFileRequest,
  'pieceLength' | 'tag' | 'application' | 'filteredQueryParams' | 'header' | 'certificateChain'
>;

/** What those that preheat have in common. */
type PreheatRequest = Pick<
  schedulerV2.PreheatFileRequest,
  'scope' | 'ips' | 'percentage' | 'count' | 'concurrentTaskCount' | 'concurrentPeerCount' | 'timeout' | 'priority'
>;

const SCOPES: Readonly<Record<string, PreheatScope>> = {
  single_seed_peer: 'single-seed-peer',
  all_seed_peers: 'all-seed-peers',
  all_peers: 'all-peers',
};

/** The scope by its name in requests; an unknown or empty one is the smallest. */
export function scopeOfText(text: string): PreheatScope {
  return SCOPES[text] ?? 'single-seed-peer';
}

export function timeoutOf({ timeout }: { readonly timeout?: Duration | undefined }): number {
  const timeoutMs = timeout === undefined ? 0 : durationToMs(timeout);
  return timeoutMs > 0 ? timeoutMs : DEFAULT_JOB_TIMEOUT_MS;
}

/** The download of one URL. */
export function downloadOf(
  url: string,
  request: ContentRequest,
  more: Partial<commonV2.Download> = {},
): commonV2.Download {
  const { filteredQueryParams } = request;
  return {
    ...commonV2.Download.fromPartial({
      url,
      pieceLength: request.pieceLength,
      tag: request.tag,
      application: request.application,
      filteredQueryParams: filteredQueryParams.length > 0 ? filteredQueryParams : [...DEFAULT_FILTERED_QUERY_PARAMS],
      requestHeader: request.header,
      certificateChain: request.certificateChain,
    }),
    ...more,
  };
}

/** The downloads of an image's blobs; what the registry wants to see travels with them. */
export function downloadsOfImage(
  blobs: readonly ImageBlob[],
  authorization: string | undefined,
  request: ContentRequest & { readonly enableTaskIdBasedBlobDigest: boolean },
  more: Partial<commonV2.Download> = {},
): commonV2.Download[] {
  const others = Object.entries(request.header).filter(([name]) => name.toLowerCase() !== 'authorization');
  const requestHeader = {
    ...Object.fromEntries(others),
    ...(authorization === undefined ? {} : { Authorization: authorization }),
  };
  const { enableTaskIdBasedBlobDigest } = request;
  return blobs.map(({ url }) => downloadOf(url, request, { ...more, requestHeader, enableTaskIdBasedBlobDigest }));
}

export function preheatSpecOf(request: PreheatRequest, downloads: readonly commonV2.Download[]): PreheatSpec {
  return {
    kind: 'preheat',
    downloads: downloads.map((download) => ({
      ...download,
      priority: request.priority,
      timeout: msToDuration(timeoutOf(request)),
    })),
    target: targetOf(request),
    concurrentTaskCount: Number(request.concurrentTaskCount ?? DEFAULT_CONCURRENT_TASK_COUNT),
    concurrentPeerCount: Number(request.concurrentPeerCount ?? DEFAULT_CONCURRENT_PEER_COUNT),
  };
}

function targetOf({ scope, ips, count, percentage }: PreheatRequest): HostTarget {
  return {
    scope: scopeOfText(scope),
    ips,
    ...(count === undefined ? {} : { count }),
    ...(percentage === undefined ? {} : { percentage }),
  };
}
