import { DfError } from '@dragonfly/errors';
import type { PeerId } from '@dragonfly/ids';
import { pieceCount } from '@dragonfly/ids';
import { commonV2 } from '@dragonfly/proto';
import type { Conversation, ScheduleAnswer } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { HoldAnswer } from '../source/source-hold.js';
import type { AttemptOptions, AttemptServices } from './attempt-services.js';
import { resolveRange } from './byte-range.js';
import type { OpenedConversation } from './moving-conversation.js';

/** What a scheduler reads as "length unknown": all bits set, −1 in its own type. */
export const UNKNOWN_CONTENT_LENGTH = 2n ** 64n - 1n;

/** Schedulers tried for one attempt. */
const MAX_SCHEDULERS = 3;

/** How an attempt is known to schedulers: which of them it turns to, under which peer id, and what it says that it wants. */
export class Registration {
  private id: PeerId;

  constructor(
    private readonly options: AttemptOptions,
    private readonly services: AttemptServices,
  ) {
    this.id = services.newPeerId();
  }

  /** The latest; each conversation has its own. */
  get peerId(): PeerId {
    return this.id;
  }

  /** A peer id lives for one conversation: a scheduler refuses one that it has seen. */
  renewPeerId(): void {
    this.id = this.services.newPeerId();
  }

  /** In the order in which they are to be tried. */
  schedulers(): readonly SchedulerLink[] {
    return this.services.schedulersFor(this.options.task.id).slice(0, MAX_SCHEDULERS);
  }

  /**
   * Opens a conversation and registers; a scheduler that was restarted and has forgotten this host is told of it.
   * @param changes to what is registered
   * @param onBegun hears of each conversation before the scheduler has answered
   * @throws DfError as `Conversation.ask`
   */
  async open(
    link: SchedulerLink,
    changes: Partial<commonV2.Download>,
    signal: AbortSignal,
    onBegun: (conversation: Conversation) => void = () => {},
  ): Promise<OpenedConversation> {
    const { openConversation, announceHost } = this.services;
    const { task } = this.options;
    const first = openConversation(link, task.id, this.id);
    onBegun(first);
    try {
      return { conversation: first, answer: await this.register(first, changes, signal) };
    } catch (error) {
      if (!isUnknownHost(error)) {
        first.cancel();
        throw error;
      }
      await announceHost(link, signal);
      this.renewPeerId();
      const conversation = openConversation(link, task.id, this.id);
      onBegun(conversation);
      try {
        return { conversation, answer: await this.register(conversation, changes, signal) };
      } catch (again) {
        conversation.cancel();
        throw again;
      }
    }
  }

  /** As a new peer. @throws DfError as `open` */
  openAgain(
    link: SchedulerLink,
    changes: Partial<commonV2.Download>,
    signal: AbortSignal,
  ): Promise<OpenedConversation> {
    this.renewPeerId();
    return this.open(link, changes, signal);
  }

  /** Asks one scheduler for leave to read the source. @throws DfError when the signal fires */
  holdSource(link: SchedulerLink, signal: AbortSignal): Promise<HoldAnswer> {
    const { task, request, log } = this.options;
    const ids = { hostId: this.services.hostId, taskId: task.id, peerId: this.id };
    return this.services.holdSource(link, { ...ids, url: request.url, log }, signal);
  }

  private register(
    conversation: Conversation,
    changes: Partial<commonV2.Download>,
    signal: AbortSignal,
  ): Promise<ScheduleAnswer> {
    const { task, request } = this.options;
    const length = task.contentLengthBytes;
    const download: commonV2.Download = {
      ...request.download,
      // Where a caller of this host wants its file is nobody else's business.
      outputPath: undefined,
      range: this.rangeMessage(),
      concurrentPieceCount: this.services.concurrentPieceCount,
      schedulingPolicy: commonV2.SchedulingPolicy.ALWAYS,
      actualPieceLength: BigInt(task.pieceLengthBytes),
      actualContentLength: length === undefined ? UNKNOWN_CONTENT_LENGTH : BigInt(length),
      actualPieceCount: length === undefined ? 0n : BigInt(pieceCount(length, task.pieceLengthBytes)),
      ...changes,
    };
    return conversation.ask(
      { $case: 'registerPeerRequest', value: { download } },
      this.services.scheduleTimeoutMs,
      signal,
    );
  }

  /** Also of a range that came as a header: a scheduler must not take a part for the whole. */
  private rangeMessage(): commonV2.Range | undefined {
    const { task, request } = this.options;
    if (request.range === undefined || task.contentLengthBytes === undefined) return request.download.range;
    const { start, length } = resolveRange(request.range, task.contentLengthBytes);
    return { start: BigInt(start), length: BigInt(length) };
  }
}

/** What the scheduler says when it does not know the host (the original hides that behind the peer). */
function isUnknownHost(error: unknown): boolean {
  return error instanceof DfError && error.code === 'not-found';
}
