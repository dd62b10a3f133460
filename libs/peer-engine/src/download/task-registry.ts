import { DfError } from '@dragonfly/errors';
import type { PieceStore } from '@dragonfly/piece-store';
import type { commonV2, Empty, schedulerV2 } from '@dragonfly/proto';
import { unary } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { DownloadManager } from './download-manager.js';

const CALL_DEADLINE_MS = 10_000;

export interface TaskRegistryOptions {
  readonly hostId: string;
  readonly store: PieceStore;
  readonly downloads: DownloadManager;
  readonly schedulersFor: (taskId: string) => readonly SchedulerLink[];
  readonly log: Logger;
}

/** Standard tasks as the cluster sees them: in this daemon's store, and at the scheduler that owns them. */
export class TaskRegistry {
  constructor(private readonly options: TaskRegistryOptions) {}

  /**
   * The scheduler's view of a task.
   * @throws DfError `not-found`; `unavailable` without a scheduler
   */
  async stat(taskId: string, signal: AbortSignal): Promise<commonV2.Task> {
    const [link] = this.options.schedulersFor(taskId);
    if (link === undefined) throw new DfError('unavailable', 'no scheduler is available');
    try {
      return await unary<schedulerV2.StatTaskRequest, commonV2.Task>(
        link.client.statTask.bind(link.client),
        { hostId: this.options.hostId, taskId },
        { deadlineMs: CALL_DEADLINE_MS, signal },
      );
    } catch (caught) {
      const error = DfError.from(caught);
      if (error.code !== 'not-found') throw error;
      throw new DfError('not-found', `task not found: ${taskId}`, { cause: error });
    }
  }

  /** Deletes a task here and takes it back at its scheduler. @throws DfError `not-found` when it is not here */
  async delete(taskId: string, signal: AbortSignal): Promise<void> {
    await this.deleteLocal(taskId);
    await this.leave(taskId, signal);
  }

  /** Deletes a task here only; its downloads end. @throws DfError `not-found` */
  async deleteLocal(taskId: string): Promise<void> {
    const { downloads, store } = this.options;
    await downloads.abortTask('standard', taskId, new DfError('cancelled', 'the task was deleted'));
    if (!(await store.delete('standard', taskId))) throw new DfError('not-found', `task not found: ${taskId}`);
  }

  /** Tells the scheduler that this host no longer has a task. Best effort: it finds out by itself in the end. */
  async leave(taskId: string, signal: AbortSignal): Promise<void> {
    const [link] = this.options.schedulersFor(taskId);
    if (link === undefined) return;
    try {
      await unary<schedulerV2.DeleteTaskRequest, Empty>(
        link.client.deleteTask.bind(link.client),
        { hostId: this.options.hostId, taskId },
        { deadlineMs: CALL_DEADLINE_MS, signal },
      );
    } catch (error) {
      this.options.log.debug({ taskId, err: error }, 'the scheduler was not told of a deletion');
    }
  }
}
