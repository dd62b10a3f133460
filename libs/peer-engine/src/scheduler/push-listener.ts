import { DfError } from '@dragonfly/errors';
import type { commonV2, extPush } from '@dragonfly/proto';
import { readStream } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { backoffMs, sleep } from '../backoff.js';
import type { SchedulerLink } from './scheduler-link.js';

/** Pause before a broken stream is opened again: 1 s, doubling up to 30 s. */
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 30_000;

/** A download that takes news. */
export interface PushTarget {
  /** More parents; those it has stay. */
  addParents(parents: readonly commonV2.Peer[]): void;
  /** These peers serve no more. */
  parentsGone(peerIds: readonly string[]): void;
}

/**
 * Hears from every scheduler of ours what it has to say without being asked, and passes it on to the download that it is
 * for. A scheduler of the plain protocol is asked once.
 */
export class PushListener {
  private readonly targets = new Map<string, PushTarget>();
  /** By link: the client whose connection is listened on. */
  private readonly listening = new Map<SchedulerLink, unknown>();
  private readonly stopped = new AbortController();

  constructor(
    private readonly hostId: string,
    private readonly log: Logger,
  ) {}

  /** News for this peer go to the target. @returns takes that back */
  register(peerId: string, target: PushTarget): () => void {
    this.targets.set(peerId, target);
    return () => {
      if (this.targets.get(peerId) === target) this.targets.delete(peerId);
    };
  }

  /** The scheduler knows this host now. */
  announcedTo(link: SchedulerLink): void {
    if (this.stopped.signal.aborted || !link.mayHave('push')) return;
    const { client } = link;
    if (this.listening.get(link) === client) return;
    this.listening.set(link, client);
    void this.listen(link, client).finally(() => {
      if (this.listening.get(link) === client) this.listening.delete(link);
    });
  }

  stop(): void {
    this.stopped.abort();
  }

  /** Until the link's connection is replaced: then the scheduler is announced to anew, and listened to. */
  private async listen(link: SchedulerLink, client: unknown): Promise<void> {
    const { signal } = this.stopped;
    for (let failures = 0; !signal.aborted && link.client === client;) {
      try {
        const call = link.push.subscribe({ hostId: this.hostId });
        for await (const push of readStream<extPush.Push>(call, { signal })) {
          failures = 0;
          link.heard();
          this.take(push);
        }
      } catch (caught) {
        const error = DfError.from(caught);
        if (signal.aborted) return;
        if (error.code === 'unimplemented' || error.code === 'failed-precondition') {
          link.hasNo('push');
          return;
        }
        this.log.debug({ scheduler: link.address, reason: error.message }, 'no news from a scheduler');
      }
      failures += 1;
      if (!(await sleep(backoffMs(failures, RETRY_FIRST_MS, RETRY_MAX_MS), signal))) return;
    }
  }

  private take({ peerId, push }: extPush.Push): void {
    const target = this.targets.get(peerId);
    if (target === undefined || push === undefined) return;
    switch (push.$case) {
      case 'parents':
        target.addParents(push.value.candidateParents);
        return;
      case 'parentsGone':
        target.parentsGone(push.value.peerIds);
        return;
    }
  }
}
