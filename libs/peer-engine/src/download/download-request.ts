import { DfError } from '@dragonfly/errors';
import {
  DEFAULT_FILTERED_QUERY_PARAMS,
  taskIdOfBlobDigestUrl,
  taskIdOfContent,
  taskIdOfUrl,
  tryParseDigest,
  type TaskId,
} from '@dragonfly/ids';
import type { LightDownloadRequest } from '@dragonfly/light';
import type { TaskKind } from '@dragonfly/piece-store';
import { commonV2, durationToMs } from '@dragonfly/proto';
import { parseRangeHeader, type RangeSpec } from './byte-range.js';

/** Level 6: what today's command line sends when nothing is said. */
export const DEFAULT_PRIORITY = commonV2.Priority.LEVEL6;

/** One request for a task or a part of it, whichever door it came through. */
export interface DownloadRequest {
  readonly kind: TaskKind;
  readonly taskId: TaskId;
  readonly url: string;
  /** Headers for the source, names as given, without Range. */
  readonly headers: Readonly<Record<string, string>>;
  readonly range: RangeSpec | undefined;
  /** What the scheduler is told; ours adds lengths when registering. */
  readonly download: commonV2.Download;
  readonly mayGoBackToSource: boolean;
  /** The scheduler (or a job) sent us to the source: no question whether. */
  readonly mustGoBackToSource: boolean;
  /** Small files take part in P2P, however small. */
  readonly isAlwaysScheduled: boolean;
  /** Piece length asked for; absent: derived from the content length. */
  readonly pieceLengthBytes: number | undefined;
  /** Pieces are wanted in order (a stream), not in the order that spreads best. */
  readonly isSequential: boolean;
  readonly timeoutMs: number | undefined;
  readonly rateLimitBytesPerSecond: number | undefined;
  /** Peer ids that are not to be asked for pieces, whoever offers them. @default none */
  readonly distrusted?: readonly string[];
}

/**
 * Reads a `common.v2.Download`.
 * @throws DfError `invalid-argument` naming the field; `failed-precondition` for a Range header that is none
 */
export function requestOfDownload(
  download: commonV2.Download,
  options: { readonly isSequential?: boolean; readonly rateLimitBytesPerSecond?: number | undefined } = {},
): DownloadRequest {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(download.url)) {
    throw new DfError('invalid-argument', `url: "${download.url}" must be an absolute URL`);
  }
  if (download.digest !== undefined && download.digest !== '' && tryParseDigest(download.digest) === undefined) {
    throw new DfError('invalid-argument', `digest: "${download.digest}" must be algorithm:encoded`);
  }
  const { headers, rangeHeader } = withoutRange(download.requestHeader);
  const range: RangeSpec | undefined =
    download.range !== undefined
      ? { kind: 'span', start: Number(download.range.start), length: Number(download.range.length) }
      : rangeHeader === undefined
        ? undefined
        : parseRangeHeader(rangeHeader);
  const timeoutMs = download.timeout === undefined ? 0 : durationToMs(download.timeout);
  return {
    kind: 'standard',
    taskId: taskIdOf(download),
    url: download.url,
    headers,
    range,
    download,
    mayGoBackToSource: !download.disableBackToSource,
    mustGoBackToSource: download.needBackToSource,
    isAlwaysScheduled: download.schedulingPolicy === commonV2.SchedulingPolicy.ALWAYS,
    pieceLengthBytes: download.pieceLength === undefined ? undefined : Number(download.pieceLength) || undefined,
    isSequential: options.isSequential ?? false,
    timeoutMs: timeoutMs > 0 ? timeoutMs : undefined,
    rateLimitBytesPerSecond: options.rateLimitBytesPerSecond || undefined,
  };
}

/** The same for a request of the light protocol. */
export function requestOfLight(request: LightDownloadRequest): DownloadRequest {
  const download = commonV2.Download.fromPartial({
    url: request.url,
    digest: request.digest,
    range:
      request.range === undefined
        ? undefined
        : { start: BigInt(request.range.start), length: BigInt(request.range.length) },
    type: commonV2.TaskType.STANDARD,
    tag: request.tag,
    application: request.application,
    priority: request.priority ?? DEFAULT_PRIORITY,
    filteredQueryParams: [...(request.filteredQueryParams ?? DEFAULT_FILTERED_QUERY_PARAMS)],
    requestHeader: { ...request.headers },
    pieceLength: request.pieceLength ? BigInt(request.pieceLength) : undefined,
    disableBackToSource: request.disableBackToSource ?? false,
    contentForCalculatingTaskId: request.contentForCalculatingTaskId,
    schedulingPolicy:
      request.schedulingPolicy === 'always' ? commonV2.SchedulingPolicy.ALWAYS : commonV2.SchedulingPolicy.AUTO,
  });
  const common = requestOfDownload(download, { rateLimitBytesPerSecond: request.rateLimitBytesPerSecond });
  return { ...common, timeoutMs: request.timeoutMs || undefined };
}

/** Whether two requests for one task would hear the same of schedulers and origin. */
export function asksAlike(a: DownloadRequest, b: DownloadRequest): boolean {
  const names = Object.keys(a.headers);
  return (
    a.url === b.url &&
    a.mayGoBackToSource === b.mayGoBackToSource &&
    a.mustGoBackToSource === b.mustGoBackToSource &&
    a.download.priority === b.download.priority &&
    names.length === Object.keys(b.headers).length &&
    names.every((name) => a.headers[name] === b.headers[name]) &&
    a.download.certificateChain.length === b.download.certificateChain.length &&
    a.download.certificateChain.every((der, index) => b.download.certificateChain[index]?.equals(der))
  );
}

/** The order of the rules is that of today's client: content text, blob digest, URL. */
function taskIdOf(download: commonV2.Download): TaskId {
  if (download.contentForCalculatingTaskId !== undefined && download.contentForCalculatingTaskId !== '') {
    return taskIdOfContent(download.contentForCalculatingTaskId);
  }
  const ofBlob = download.enableTaskIdBasedBlobDigest ? taskIdOfBlobDigestUrl(download.url) : undefined;
  if (ofBlob !== undefined) return ofBlob;
  try {
    return taskIdOfUrl({
      url: download.url,
      filteredQueryParams: download.filteredQueryParams,
      tag: download.tag,
      application: download.application,
      revision: download.huggingFace?.revision ?? download.modelScope?.revision ?? download.openCsg?.revision,
      pieceLengthBytes: download.pieceLength,
    });
  } catch (caught) {
    throw new DfError('invalid-argument', `url: ${DfError.from(caught).message}`, { cause: caught });
  }
}

function withoutRange(headers: Readonly<Record<string, string>>): {
  headers: Record<string, string>;
  rangeHeader: string | undefined;
} {
  const entries = Object.entries(headers);
  const isRange = ([name]: [string, string]): boolean => name.toLowerCase() === 'range';
  return {
    headers: Object.fromEntries(entries.filter((entry) => !isRange(entry))),
    rangeHeader: entries.find(isRange)?.[1],
  };
}
