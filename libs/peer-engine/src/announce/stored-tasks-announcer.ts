import type { PieceStore, StoredTask } from '@dragonfly/piece-store';
import { sleep } from '../backoff.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';

/** Pause between two tasks: ten a second for each scheduler, so that a whole cluster that returns does not drown it. */
const PAUSE_MS = 100;
/** A crowd of daemons that find their scheduler again begins at different moments. */
const MAX_FIRST_PAUSE_MS = 1000;
/** Most tasks told to one scheduler, those used last first; the rest is found by its source or its next download. */
const MAX_TASKS = 5000;
/** Ids that other peers can ask for have exactly 64 characters. */
const SHAREABLE_TASK_ID = /^[0-9a-f]{64}$/i;

export interface StoredTasksAnnouncerOptions {
  readonly store: Pick<PieceStore, 'list'>;
  /** Schedulers for a task, its owner first. */
  readonly schedulersFor: (taskId: string) => readonly SchedulerLink[];
  readonly newPeerId: () => string;
  /** Tells one task to a scheduler; never throws. @returns whether it took it */
  readonly announce: (task: StoredTask, link: SchedulerLink, peerId: string, signal: AbortSignal) => Promise<boolean>;
  /** @default 100 ms and up to 1 s */
  readonly pauses?: { readonly betweenMs: number; readonly firstMs: number };
}

/**
 * Makes this host a parent again of what it has stored: a scheduler that hears of the host anew, because one of the two was
 * restarted, knows none of it.
 */
export class StoredTasksAnnouncer {
  private readonly stopped = new AbortController();
  private readonly running = new Map<
    SchedulerLink,
    { readonly again: AbortController; readonly done: Promise<void> }
  >();
  /** A scheduler that lost only the connection knows these, and refuses to hear of them twice. */
  private readonly peerIds = new WeakMap<StoredTask, string>();

  constructor(private readonly options: StoredTasksAnnouncerOptions) {}

  /** The scheduler has just taken the announcement of this host, and has no memory of it. */
  onHostKnown(link: SchedulerLink): void {
    if (this.stopped.signal.aborted) return;
    this.running.get(link)?.again.abort();
    const again = new AbortController();
    const done = this.run(link, AbortSignal.any([again.signal, this.stopped.signal])).finally(() => {
      if (this.running.get(link)?.again === again) this.running.delete(link);
    });
    this.running.set(link, { again, done });
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await Promise.all([...this.running.values()].map(({ done }) => done));
  }

  private async run(link: SchedulerLink, signal: AbortSignal): Promise<void> {
    const { store, schedulersFor, newPeerId, announce, pauses } = this.options;
    // Those that are complete now: one that is completed later tells the scheduler by itself.
    const tasks = store
      .list()
      .filter((task) => task.kind === 'standard' && task.isComplete && SHAREABLE_TASK_ID.test(task.id))
      .sort((a, b) => b.updatedAtMs - a.updatedAtMs)
      .slice(0, MAX_TASKS);
    let pauseMs = Math.random() * (pauses?.firstMs ?? MAX_FIRST_PAUSE_MS);
    for (const task of tasks) {
      if (schedulersFor(task.id)[0] !== link) continue;
      if (!(await sleep(pauseMs, signal))) return;
      pauseMs = pauses?.betweenMs ?? PAUSE_MS;
      if (!task.isComplete || task.isDeleted) continue;
      const peerId = this.peerIds.get(task) ?? newPeerId();
      if (await announce(task, link, peerId, signal)) this.peerIds.set(task, peerId);
    }
  }
}
