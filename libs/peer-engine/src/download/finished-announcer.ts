import { pieceCount } from '@dragonfly/ids';
import type { StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import type { AttemptServices } from './attempt-services.js';
import type { DownloadRequest } from './download-request.js';

/** How long a scheduler may take to accept the announcement. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Tells the scheduler about tasks that are complete here, so that others can fetch them from this host. */
export class FinishedAnnouncer {
  constructor(
    private readonly services: AttemptServices,
    private readonly log: Logger,
  ) {}

  /** Best effort: without a scheduler, or with one that refuses, nothing is announced. */
  async announce(request: DownloadRequest, task: StoredTask, signal: AbortSignal): Promise<void> {
    const [link] = this.services.schedulersFor(task.id);
    const length = task.contentLengthBytes;
    if (link === undefined || length === undefined) return;
    const conversation = this.services.openConversation(link, task.id, this.services.newPeerId());
    try {
      const answer = await conversation.ask(
        {
          $case: 'registerPeerRequest',
          value: {
            download: {
              ...request.download,
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
        return;
      }
      conversation.report({ $case: 'downloadPeerStartedRequest', value: {} });
      await conversation.finish({ $case: 'downloadPeerFinishedRequest', value: {} });
    } catch (error) {
      conversation.cancel();
      this.log.debug({ taskId: task.id, err: error }, 'a finished task was not announced');
    }
  }
}
