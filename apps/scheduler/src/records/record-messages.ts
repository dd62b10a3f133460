import { type DeepPartial, durationToMs, extRecords, msToDuration } from '@dragonfly/proto';
import type { DownloadEnd, DownloadRecord } from './download-record.js';
import type { RecordFilter } from './record-queries.js';
import type { GroupOf, Summary } from './summarizer.js';

const { DownloadResult, SummaryGroup } = extRecords;

const RESULTS: Readonly<Record<DownloadEnd, extRecords.DownloadResult>> = {
  succeeded: DownloadResult.DOWNLOAD_RESULT_SUCCEEDED,
  failed: DownloadResult.DOWNLOAD_RESULT_FAILED,
  abandoned: DownloadResult.DOWNLOAD_RESULT_ABANDONED,
};

const GROUPS: Readonly<Partial<Record<extRecords.SummaryGroup, GroupOf>>> = {
  [SummaryGroup.SUMMARY_GROUP_APPLICATION]: (record) => record.application,
  [SummaryGroup.SUMMARY_GROUP_HOST]: (record) => record.hostId,
  [SummaryGroup.SUMMARY_GROUP_TASK]: (record) => record.taskId,
  [SummaryGroup.SUMMARY_GROUP_STRATEGY]: (record) => record.strategy,
  [SummaryGroup.SUMMARY_GROUP_TAG]: (record) => record.tag,
  [SummaryGroup.SUMMARY_GROUP_TASK_TYPE]: (record) => record.taskType,
};

export function filterOf(filter: extRecords.DownloadFilter | undefined): RecordFilter {
  const result = (Object.keys(RESULTS) as DownloadEnd[]).find((end) => RESULTS[end] === filter?.result);
  return {
    ...(filter?.since === undefined ? {} : { sinceMs: filter.since.getTime() }),
    ...(filter?.until === undefined ? {} : { untilMs: filter.until.getTime() }),
    taskId: filter?.taskId ?? '',
    hostId: filter?.hostId ?? '',
    application: filter?.application ?? '',
    tag: filter?.tag ?? '',
    strategy: filter?.strategy ?? '',
    taskType: filter?.taskType ?? '',
    ...(result === undefined ? {} : { result }),
  };
}

export function groupOf(group: extRecords.SummaryGroup): GroupOf {
  return GROUPS[group];
}

export function intervalMsOf({ interval }: extRecords.SummarizeDownloadsRequest): number {
  return interval === undefined ? 0 : durationToMs(interval);
}

export function recordMessage(record: DownloadRecord): DeepPartial<extRecords.DownloadRecord> {
  return {
    taskId: record.taskId,
    peerId: record.peerId,
    hostId: record.hostId,
    hostname: record.hostname,
    ip: record.ip,
    idc: record.idc,
    isSeed: record.isSeed,
    taskType: record.taskType,
    url: record.url,
    application: record.application,
    tag: record.tag,
    result: RESULTS[record.result],
    description: record.description,
    startedAt: new Date(record.startedAtMs),
    cost: msToDuration(Math.max(0, record.endedAtMs - record.startedAtMs)),
    contentLength: BigInt(record.contentLengthBytes),
    bytesFromSource: BigInt(record.sourceBytes),
    bytesFromPeers: BigInt(record.peerBytes),
    bytesFromSeeds: BigInt(record.seedBytes),
    bytesLocal: BigInt(record.localBytes),
    bytesAcrossIdcs: BigInt(record.crossIdcBytes),
    pieceFailures: record.pieceFailures,
    strategy: record.strategy,
    parents: record.parents.map(({ bytes, ...share }) => ({ ...share, bytes: BigInt(bytes) })),
  };
}

export function summaryMessage(summary: Summary): DeepPartial<extRecords.DownloadSummary> {
  return {
    beginsAt: summary.beginsAtMs === undefined ? undefined : new Date(summary.beginsAtMs),
    key: summary.key,
    downloads: BigInt(summary.downloads),
    failures: BigInt(summary.failures),
    bytesFromSource: BigInt(summary.sourceBytes),
    bytesFromPeers: BigInt(summary.peerBytes),
    bytesFromSeeds: BigInt(summary.seedBytes),
    bytesAcrossIdcs: BigInt(summary.crossIdcBytes),
    meanCost: msToDuration(summary.meanCostMs),
    p99Cost: msToDuration(summary.p99CostMs),
  };
}
