import { DfError } from '@dragonfly/errors';
import type { commonV2 } from '@dragonfly/proto';
import { type Conversation, NoConversation, type ScheduleAnswer } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { AttemptOptions, AttemptServices } from './attempt-services.js';
import { FinishedAnnouncer } from './finished-announcer.js';
import { MovingConversation } from './moving-conversation.js';
import { ParentFetching } from './parent-fetching.js';
import type { Registration } from './registration.js';
import { SourceReading } from './source-reading.js';
import type { WantedPieces } from './wanted-pieces.js';

/** How a download through one scheduler ended. */
export type ScheduledOutcome =
  /** Everything is in the store. */
  | 'complete'
  /** The scheduler is gone; another one may help. */
  | 'lost'
  /** Somebody else reads the source by now. */
  | 'superseded'
  /** The scheduler is alive and cannot help: the rest comes from the source. */
  | 'given-up';

export interface ScheduledResult {
  readonly outcome: ScheduledOutcome;
  /** The scheduler has answered at least once. */
  readonly wasInTouch: boolean;
  /** It was lost after it had answered. */
  readonly wasLostInTouch: boolean;
}

/** The part of an attempt that does what schedulers say, one conversation after the other. */
export class ScheduledDownload {
  /** Parents that are asked no more, whichever scheduler offers them. */
  private readonly banned: Set<string>;

  constructor(
    private readonly options: AttemptOptions,
    private readonly services: AttemptServices,
    private readonly registration: Registration,
    private readonly wanted: WantedPieces,
  ) {
    this.banned = new Set(options.request.distrusted);
  }

  /**
   * Downloads as one scheduler says.
   * @throws DfError `cancelled` or what the signal fires with; `no-space`; what the source answered
   */
  async run(link: SchedulerLink, signal: AbortSignal): Promise<ScheduledResult> {
    const opened: { conversation?: Conversation } = {};
    const outcome = await this.talk(link, opened, signal);
    const wasInTouch = opened.conversation?.isInTouch === true;
    return { outcome, wasInTouch, wasLostInTouch: wasInTouch && opened.conversation?.lostBecause !== undefined };
  }

  /**
   * Reads the source while no scheduler can be reached. The first one that appears is told of it, with all pieces so far,
   * and may know somebody who reads it, or has the content, already.
   * @throws DfError as `run`
   */
  async readUntold(signal: AbortSignal): Promise<'complete' | 'superseded'> {
    try {
      const outcome = await this.goToSource(this.moving(new NoConversation(), undefined), signal);
      return outcome === 'complete' ? outcome : 'superseded';
    } catch (error) {
      if (error instanceof SourceFailure) throw error.cause;
      throw error;
    }
  }

  private async talk(
    link: SchedulerLink,
    opened: { conversation?: Conversation },
    signal: AbortSignal,
  ): Promise<ScheduledOutcome> {
    let moving: MovingConversation | undefined;
    try {
      const { conversation, answer } = await this.registration.open(link, {}, signal, (begun) => {
        opened.conversation = begun;
      });
      moving = this.moving(conversation, link);
      return await this.follow(moving, answer, signal);
    } catch (caught) {
      // With whatever scheduler it is by now: one that is told nothing would offer this peer to others.
      const last = moving ?? opened.conversation;
      if (signal.aborted) {
        // Bounded, and nobody waits for it.
        void last?.finish({
          $case: 'downloadPeerFailedRequest',
          value: { description: 'cancelled' },
        });
        throw DfError.from(signal.reason, 'cancelled');
      }
      last?.cancel();
      const error = DfError.from(caught);
      if (error instanceof SourceFailure) throw error.cause;
      this.options.log.warn({ scheduler: link.address, code: error.code, reason: error.message }, 'scheduling failed');
      if (error.code === 'no-space') throw error;
      if (error.code !== 'unavailable') return 'given-up';
      this.services.reportDown(link, error.message);
      return 'lost';
    }
  }

  private moving(conversation: Conversation, link: SchedulerLink | undefined): MovingConversation {
    const { task, log } = this.options;
    const schedulers = (): readonly SchedulerLink[] => this.registration.schedulers();
    return new MovingConversation(conversation, link, { task, schedulers, reportDown: this.services.reportDown, log });
  }

  /** Does what the scheduler says until the pieces are there or nothing more can come of it. */
  private async follow(
    conversation: MovingConversation,
    firstAnswer: ScheduleAnswer,
    signal: AbortSignal,
  ): Promise<ScheduledOutcome> {
    let answer = firstAnswer;
    for (let count = 1; ; count += 1) {
      if (count > this.services.maxScheduleCount) {
        await conversation.finish({
          $case: 'downloadPeerFailedRequest',
          value: { description: 'max schedule count exceeded' },
        });
        return 'given-up';
      }
      switch (answer.$case) {
        case 'emptyTaskResponse':
          conversation.report({ $case: 'downloadPeerStartedRequest', value: {} });
          await conversation.finish({ $case: 'downloadPeerFinishedRequest', value: {} });
          return this.wanted.areHeld() ? 'complete' : 'given-up';
        case 'needBackToSourceResponse': {
          const outcome = await this.goToSource(conversation, signal);
          if (outcome !== 'refused') return outcome;
          answer = await this.reschedule(conversation, [], 'the source is read by somebody else', signal);
          break;
        }
        case 'normalTaskResponse': {
          // Also those that come as news meanwhile: none of them is to be offered again.
          const candidateParents = [...answer.value.candidateParents];
          conversation.report({ $case: 'downloadPeerStartedRequest', value: {} });
          if (await this.fromParents(conversation, candidateParents, signal)) {
            await conversation.finish({ $case: 'downloadPeerFinishedRequest', value: {} });
            await this.announceIfUnknown(conversation, signal);
            return 'complete';
          }
          if (conversation.lostBecause !== undefined) return 'lost';
          answer = await this.reschedule(
            conversation,
            candidateParents,
            'not all pieces are downloaded from parent',
            signal,
          );
          break;
        }
        case 'metadataOnlyResponse':
          throw new DfError('internal', 'the scheduler answered a download as if it had announced metadata');
      }
    }
  }

  private reschedule(
    conversation: MovingConversation,
    candidateParents: commonV2.Peer[],
    description: string,
    signal: AbortSignal,
  ): Promise<ScheduleAnswer> {
    return conversation.ask(
      { $case: 'reschedulePeerRequest', value: { candidateParents, description } },
      this.services.scheduleTimeoutMs,
      signal,
    );
  }

  private fromParents(
    conversation: MovingConversation,
    candidates: commonV2.Peer[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { options, services, registration, wanted, banned } = this;
    return new ParentFetching(conversation, options, services, registration, wanted, banned).run(candidates, signal);
  }

  private async goToSource(
    conversation: MovingConversation,
    signal: AbortSignal,
  ): Promise<ScheduledOutcome | 'refused'> {
    const { task, request, limiters, log } = this.options;
    if (!request.mayGoBackToSource) {
      await conversation.finish({
        $case: 'downloadPeerFailedRequest',
        value: { description: 'back-to-source is disabled for this download' },
      });
      return 'given-up';
    }
    const reading = new SourceReading(conversation, {
      held: this.wanted.held(),
      read: (hold, onPiece, until) =>
        this.services.fetchFromSource(
          { task, request, pieces: this.wanted.missing(), limiters, hold, log, onPiece },
          until,
        ),
      register: (next, until) => this.registration.openAgain(next, { needBackToSource: true }, until),
      holdSource: (at, until) => this.registration.holdSource(at, until),
    });
    try {
      const outcome = await reading.run(signal);
      if (outcome === 'complete') await this.announceIfUnknown(conversation, signal);
      return outcome;
    } catch (caught) {
      if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
      throw new SourceFailure(DfError.from(caught, 'unavailable'));
    }
  }

  /** The scheduler was lost and no other knows yet that the content is here. */
  private async announceIfUnknown(conversation: MovingConversation, signal: AbortSignal): Promise<void> {
    const { task, request, log } = this.options;
    if (conversation.lostBecause === undefined || !this.wanted.areHeld() || this.wanted.span !== undefined) return;
    await new FinishedAnnouncer(this.services, log).announce(request, task, signal);
  }
}

/** Carries a failure of the source past the handling of scheduler failures. */
class SourceFailure extends DfError {
  constructor(override readonly cause: DfError) {
    super(cause.code, cause.message, { cause });
  }
}
