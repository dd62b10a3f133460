import type { DownloadRequest } from './download-request.js';

/** What today's client fetches without asking a scheduler: up to 4 MiB. */
const SMALL_BYTES = 4 * 1024 * 1024;

/** Ids that can be asked for over vortex have exactly 64 characters. */
const SHAREABLE_TASK_ID = /^[0-9a-f]{64}$/i;

/** Whether peers can serve a task to each other. */
export function isShareable(taskId: string): boolean {
  return SHAREABLE_TASK_ID.test(taskId);
}

export interface SchedulingChoice {
  readonly hasScheduler: boolean;
  readonly hasSeedPeer: boolean;
  readonly smallTaskP2P: 'auto' | 'always' | 'never';
}

/**
 * Whether a download goes through a scheduler.
 * @param wantedBytes length of what is asked for; undefined while unknown
 */
export function usesScheduler(
  request: Pick<DownloadRequest, 'taskId' | 'mayGoBackToSource' | 'mustGoBackToSource' | 'isAlwaysScheduled'>,
  wantedBytes: number | undefined,
  choice: SchedulingChoice,
): boolean {
  if (!choice.hasScheduler || !isShareable(request.taskId)) return false;
  // Without the source a scheduler is the only hope; who was sent by one reports to it.
  if (!request.mayGoBackToSource || request.mustGoBackToSource || request.isAlwaysScheduled) return true;
  if (wantedBytes === undefined || wantedBytes > SMALL_BYTES) return true;
  switch (choice.smallTaskP2P) {
    case 'always':
      return true;
    case 'never':
      return false;
    case 'auto':
      return choice.hasSeedPeer;
  }
}
