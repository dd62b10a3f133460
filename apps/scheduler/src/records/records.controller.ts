import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { DfError } from '@dragonfly/errors';
import type { DeepPartial, extRecords } from '@dragonfly/proto';
import { contextOf, type RawCall } from '@dragonfly/rpc/nest';
import { SchedulerCore } from '../scheduler-core.js';
import { filterOf, groupOf, intervalMsOf, recordMessage, summaryMessage } from './record-messages.js';
import type { RecordQueries } from './record-queries.js';

const SERVICE = 'RecordService';
const DEFAULT_PAGE_SIZE = 100;
const DEFAULT_GROUP_LIMIT = 100;

/** dragonfly.ext.v1.RecordService. */
@Controller()
export class RecordsController {
  constructor(@Inject(SchedulerCore) private readonly core: SchedulerCore) {}

  @GrpcMethod(SERVICE, 'ListDownloads')
  async listDownloads(
    request: extRecords.ListDownloadsRequest,
    _metadata: unknown,
    call: RawCall,
  ): Promise<DeepPartial<extRecords.ListDownloadsResponse>> {
    const { filter, pageSize, pageToken } = request;
    const { signal } = contextOf(call);
    const page = await this.#queries().list(filterOf(filter), pageSize || DEFAULT_PAGE_SIZE, pageToken, signal);
    return { downloads: page.records.map(recordMessage), nextPageToken: page.nextPageToken };
  }

  @GrpcMethod(SERVICE, 'SummarizeDownloads')
  async summarizeDownloads(
    request: extRecords.SummarizeDownloadsRequest,
    _metadata: unknown,
    call: RawCall,
  ): Promise<DeepPartial<extRecords.SummarizeDownloadsResponse>> {
    const { filter, group, groupLimit } = request;
    const summaries = await this.#queries().summarize(
      filterOf(filter),
      intervalMsOf(request),
      groupOf(group),
      groupLimit || DEFAULT_GROUP_LIMIT,
      contextOf(call).signal,
    );
    return { summaries: summaries.map(summaryMessage) };
  }

  /** @throws DfError `failed-precondition` when no records are kept */
  #queries(): RecordQueries {
    const { records } = this.core;
    if (records === undefined) throw new DfError('failed-precondition', 'download records are off: records.enable');
    return records.queries;
  }
}
