import { pieceCount } from '@dragonfly/ids';
import type { StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { AttemptServices } from './attempt-services.js';
import { DEFAULT_PRIORITY, type DownloadRequest } from './download-request.js';

/** How long a scheduler may take to accept the announcement. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Tells the scheduler about tasks that are complete here, so that others can fetch them from this host. */
export class FinishedAnnouncer {
  constructor(
    private readonly services: AttemptServices,
    private readonly log: Logger,
  ) {}

  /**
   * Announces a task that somebody asked for just now. Best effort: without a scheduler, or with one that refuses, nothing is
   * announced.
   */
  async announce(request: DownloadRequest, task: StoredTask, signal: AbortSignal): Promise<void> {
    const [link] = this.services.schedulersFor(task.id);
    if (link === undefined) return;
    await this.tell(request.download, task, link, this.services.newPeerId(), signal);
  }

  /** Announces a task of the store to one scheduler, as it was when it was downloaded. @returns whether it was taken */
  async announceStored(task: StoredTask, link: SchedulerLink, peerId: string, signal: AbortSignal): Promise<boolean> {
    const { url, tag, application, digest, filteredQueryParams } = task.meta;
    if (url === undefined) return false;
    const download = commonV2.Download.fromPartial({
      url,
      tag,
      application,
      digest,
      type: commonV2.TaskType.STANDARD,
      priority: DEFAULT_PRIORITY,
      filteredQueryParams: [...(filteredQueryParams ?? [])],
    });
    return this.tell(download, task, link, peerId, signal);
  }

  private async tell(
    download: commonV2.Download,
    task: StoredTask,
    link: SchedulerLink,
    peerId: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const length = task.contentLengthBytes;
    if (length === undefined) return false;
    const conversation = this.services.openConversation(link, task.id, peerId);
    try {
      const answer = await conversation.ask(
        {
          $case: 'registerPeerRequest',
          value: {
            download: {
              ...download,
              outputPath: undefined,
              needBackToSource: false,
              metadataOnly: true,
              concurrentPieceCount: this.services.concurrentPieceCount,
              schedulingPolicy: commonV2.SchedulingPolicy.ALWAYS,
              actualPieceLength: BigInt(task.pieceLengthBytes),
              actualContentLength: BigInt(length),
              actualPieceCount: BigInt(pieceCount(length, task.pieceLengthBytes)),
            },
          },
        },
        ANSWER_TIMEOUT_MS,
        signal,
      );
      if (answer.$case !== 'metadataOnlyResponse' && answer.$case !== 'emptyTaskResponse') {
        conversation.cancel();
        return false;
      }
      conversation.report({ $case: 'downloadPeerStartedRequest', value: {} });
      await conversation.finish({ $case: 'downloadPeerFinishedRequest', value: {} });
      return true;
    } catch (error) {
      conversation.cancel();
      this.log.debug({ taskId: task.id, err: error }, 'a finished task was not announced');
      return false;
    }
  }
}
