import { ExtensionDispatch } from './extension-dispatch.js';
import { OriginalDispatch } from './original-dispatch.js';
import type { SchedulerClients } from './scheduler-clients.js';
import type { WorkEnd, WorkRun } from './scheduler-work.js';

/** A scheduler that has no job service is not asked for it again for so long: it may be updated. */
const REMEMBER_MS = 600_000;

/** Lets a scheduler do work, in the way that it knows. */
export class Dispatcher {
  private readonly extension: ExtensionDispatch;
  private readonly original: OriginalDispatch;
  /** Until when a scheduler counts as one of the original, by row id; on the monotonic clock. */
  private readonly originalUntilMs = new Map<number, number>();

  constructor(clients: SchedulerClients) {
    this.extension = new ExtensionDispatch(clients);
    this.original = new OriginalDispatch(clients);
  }

  /** @throws DfError the signal's reason, when it is not `cancelled` */
  async run(run: WorkRun): Promise<WorkEnd> {
    const nowMs = performance.now();
    if (nowMs >= (this.originalUntilMs.get(run.target.id) ?? 0)) {
      const end = await this.extension.run(run);
      if (end) {
        return end;
      }
      this.originalUntilMs.set(run.target.id, nowMs + REMEMBER_MS);
    }
    return this.original.run(run);
  }
}
