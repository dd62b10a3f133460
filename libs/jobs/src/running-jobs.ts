import { DfError } from '@dragonfly/errors';
import type { JobEvent } from './job-queue.js';

/** What a queue keeps of an entry that runs in this process. */
export interface RunningJob {
  /** Ends the handler; its reason tells why. */
  readonly abort: AbortController;
  /** Set before the abort, so that the end of the handler is told as a cancel and not as a failure. */
  isCancelled: boolean;
}

/** Ends the handler of an entry because somebody cancelled it; without effect the second time. */
export function abortCancelled(job: RunningJob | undefined): void {
  if (job && !job.isCancelled) {
    job.isCancelled = true;
    job.abort.abort(new DfError('cancelled', 'the job was cancelled'));
  }
}

/** Those who want to hear of the entries of a queue. One that throws does not keep the others from hearing. */
export class JobListeners {
  private readonly listeners = new Set<(event: JobEvent) => void>();

  constructor(private readonly onError: (error: unknown) => void) {}

  /** @returns a function that takes the listener off again */
  add(listener: (event: JobEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(event: JobEvent): void {
    for (const listener of this.listeners) {
      try {
        listener(event);
      } catch (error) {
        this.onError(error);
      }
    }
  }
}
