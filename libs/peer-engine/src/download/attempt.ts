import { DfError } from '@dragonfly/errors';
import type { PeerId, PieceSpan } from '@dragonfly/ids';
import { pieceCount } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import { sleep } from '../backoff.js';
import type { Conversation, ScheduleAnswer } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { PushTarget } from '../scheduler/push-listener.js';
import type { HoldAnswer, SourceHold } from '../source/source-hold.js';
import type { AttemptOptions, AttemptServices } from './attempt-services.js';
import { resolveRange } from './byte-range.js';
import { FinishedAnnouncer } from './finished-announcer.js';
import { MovingConversation, type OpenedConversation } from './moving-conversation.js';
import { isShareable } from './scheduling-choice.js';
import { SourceReading } from './source-reading.js';

/** What a scheduler reads as "length unknown": all bits set, −1 in its own type. */
export const UNKNOWN_CONTENT_LENGTH = 2n ** 64n - 1n;

/** Schedulers tried for one attempt. */
const MAX_SCHEDULERS = 3;
/** Times that an attempt begins anew after all its schedulers were gone. */
const MAX_ROUNDS = 10;
/** While all schedulers are gone, this often is looked whether one is back. */
const RETURN_CHECK_MS = 250;
/** Those who have lost their scheduler together do not come back, or go to the source, in the same instant. */
const CROWD_JITTER_MS = 1000;
/** Times that an attempt gives up reading the source because another does. */
const MAX_SUPERSEDED = 3;
/** Pause before a scheduler is asked again whether the source is free. */
const HOLD_RETRY_MS = 1000;

/** How talking to one scheduler ended. */
type ConversationOutcome =
  /** Everything is in the store. */
  | 'complete'
  /** The scheduler is gone; another one may help. */
  | 'lost'
  /** Somebody else reads the source by now. */
  | 'superseded'
  /** The scheduler is alive and cannot help: the rest comes from the source. */
  | 'given-up';

/**
 * One way of getting a set of pieces: through schedulers and parents, else from the source. Pieces go into the store;
 * whoever waits for them watches the store.
 */
export class Attempt {
  /** The latest peer id; each conversation has its own. */
  peerId: PeerId;
  private readonly banned = new Set<string>();
  /** A scheduler has answered since it was last looked whether any is left. */
  private wasInTouch = false;
  private hasLostScheduler = false;

  constructor(
    private readonly options: AttemptOptions,
    private readonly services: AttemptServices,
  ) {
    this.peerId = services.newPeerId();
  }

  /** What it works on. A content that changed at the origin is another task under the same id. */
  get task(): StoredTask {
    return this.options.task;
  }

  get wanted(): PieceSpan | undefined {
    return this.options.wanted;
  }

  /** Whether every wanted piece is in the store. */
  isDone(): boolean {
    return this.missing()?.length === 0;
  }

  /**
   * Brings every wanted piece into the store.
   * @throws DfError the reason why that was impossible
   */
  async run(signal: AbortSignal): Promise<void> {
    const { request, usesScheduler } = this.options;
    if (usesScheduler && (await this.askSchedulers(signal))) return;
    if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
    if (this.isDone()) return;
    if (!request.mayGoBackToSource) {
      throw new DfError('failed-precondition', 'no peer could serve the content, and back-to-source is disabled');
    }
    await this.readAlone(signal);
  }

  /** @returns whether that brought everything */
  private async askSchedulers(signal: AbortSignal): Promise<boolean> {
    const { log, task } = this.options;
    let superseded = 0;
    let rounds = 0;
    let hasAsked = false;
    do {
      const links = this.services.schedulersFor(task.id).slice(0, MAX_SCHEDULERS);
      for (const link of links) {
        // A peer id lives for one conversation: a scheduler refuses one it has seen.
        if (hasAsked) this.peerId = this.services.newPeerId();
        hasAsked = true;
        const outcome = await this.talk(link, signal);
        if (outcome === 'complete') return true;
        if (outcome === 'given-up') return false;
        if (this.isDone()) return true;
        if (outcome === 'superseded' && (superseded += 1) >= MAX_SUPERSEDED) return false;
        if (outcome === 'lost') log.info({ scheduler: link.address }, 'lost the scheduler of a download');
      }
    } while ((rounds += 1) < MAX_ROUNDS && (await this.isSchedulerBack(signal)));
    return false;
  }

  /**
   * Waits for any scheduler, when one that this download was in touch with is gone: it is probably being restarted, and
   * the others that it served must not all read the source meanwhile.
   */
  private async isSchedulerBack(signal: AbortSignal): Promise<boolean> {
    const { schedulersFor, lossPatienceMs } = this.services;
    if (!this.wasInTouch) return false;
    this.wasInTouch = false;
    const deadlineMs = performance.now() + lossPatienceMs;
    while (performance.now() < deadlineMs) {
      if (!(await sleep(RETURN_CHECK_MS * (0.5 + Math.random()), signal))) return false;
      if (schedulersFor(this.options.task.id).length > 0) return true;
    }
    return false;
  }

  /** Reads the source without having been sent there, if a scheduler that can be asked has nothing against it. */
  private async readAlone(signal: AbortSignal): Promise<void> {
    const { task, request, log } = this.options;
    const { services } = this;
    const deadlineMs = performance.now() + services.scheduleTimeoutMs;
    for (;;) {
      const { answer, link } = await this.askForHold(signal);
      switch (answer.kind) {
        case 'granted':
          try {
            const read = AbortSignal.any([signal, answer.hold.revoked]);
            await this.fromSource(answer.hold, undefined, read);
            // Those who were told to wait for this reader find it then.
            if (link !== undefined) await new FinishedAnnouncer(services, log).announce(request, task, signal);
          } finally {
            answer.hold.release();
          }
          return;
        case 'unreachable':
          if (services.hasSchedulers() && !services.maySourceWithoutScheduler) {
            throw new DfError(
              'unavailable',
              'no scheduler can be reached, and download.sourceWithoutScheduler forbids to read the source without one',
            );
          }
          if (this.hasLostScheduler) await sleep(CROWD_JITTER_MS * Math.random(), signal);
          await this.fromSource(undefined, undefined, signal);
          return;
        case 'unsupported':
          await this.fromSource(undefined, undefined, signal);
          return;
        case 'refused':
          log.debug({ taskId: task.id, reason: answer.reason }, 'the source may not be read now');
          if (isShareable(task.id)) {
            this.peerId = services.newPeerId();
            if (await this.askSchedulers(signal)) return;
          }
          if (this.isDone()) return;
          if (performance.now() > deadlineMs) throw new DfError('unavailable', `source: ${answer.reason}`);
          await sleep(HOLD_RETRY_MS * (0.5 + Math.random()), signal);
          signal.throwIfAborted();
      }
    }
  }

  private async askForHold(
    signal: AbortSignal,
  ): Promise<{ readonly answer: HoldAnswer; readonly link?: SchedulerLink }> {
    for (const link of this.services.schedulersFor(this.options.task.id).slice(0, MAX_SCHEDULERS)) {
      const answer = await this.holdAt(link, signal);
      if (answer.kind !== 'unreachable') return { answer, link };
    }
    return { answer: { kind: 'unreachable' } };
  }

  private holdAt(link: SchedulerLink, signal: AbortSignal): Promise<HoldAnswer> {
    const { task, request, log } = this.options;
    const ids = { hostId: this.services.hostId, taskId: task.id, peerId: this.peerId };
    return this.services.holdSource(link, { ...ids, url: request.url, log }, signal);
  }

  private async talk(link: SchedulerLink, signal: AbortSignal): Promise<ConversationOutcome> {
    const opened: { conversation?: Conversation } = {};
    try {
      const { conversation, answer } = await this.open(link, {}, signal, (begun) => {
        opened.conversation = begun;
      });
      return await this.follow(this.moving(conversation, link), answer, signal);
    } catch (caught) {
      if (signal.aborted) {
        // Told, so that the scheduler offers this peer to nobody; bounded, and nobody waits for it.
        void opened.conversation?.finish({
          $case: 'downloadPeerFailedRequest',
          value: { description: 'cancelled' },
        });
        throw DfError.from(signal.reason, 'cancelled');
      }
      opened.conversation?.cancel();
      const error = DfError.from(caught);
      if (error instanceof SourceFailure) throw error.cause;
      this.options.log.warn({ scheduler: link.address, code: error.code, reason: error.message }, 'scheduling failed');
      if (error.code !== 'unavailable') return error.code === 'no-space' ? rethrow(error) : 'given-up';
      this.services.reportDown(link, error.message);
      return 'lost';
    } finally {
      if (opened.conversation?.isInTouch === true) {
        this.wasInTouch = true;
        if (opened.conversation.lostBecause !== undefined) this.hasLostScheduler = true;
      }
    }
  }

  private moving(conversation: Conversation, link: SchedulerLink): MovingConversation {
    const { task, log } = this.options;
    const { schedulersFor, reportDown } = this.services;
    const schedulers = (): SchedulerLink[] => schedulersFor(task.id).slice(0, MAX_SCHEDULERS);
    return new MovingConversation(conversation, link, { task, schedulers, reportDown, log });
  }

  /** As a new peer, because a scheduler refuses an id that it has seen. */
  private openAgain(
    link: SchedulerLink,
    changes: Partial<commonV2.Download>,
    signal: AbortSignal,
  ): Promise<OpenedConversation> {
    this.peerId = this.services.newPeerId();
    return this.open(link, changes, signal);
  }

  /** Opens a conversation and registers; a scheduler that was restarted and has forgotten this host is told of it. */
  private async open(
    link: SchedulerLink,
    changes: Partial<commonV2.Download>,
    signal: AbortSignal,
    onBegun: (conversation: Conversation) => void = () => {},
  ): Promise<OpenedConversation> {
    const { openConversation, announceHost, newPeerId } = this.services;
    const { task } = this.options;
    const first = openConversation(link, task.id, this.peerId);
    onBegun(first);
    try {
      return { conversation: first, answer: await this.register(first, changes, signal) };
    } catch (error) {
      if (!isUnknownHost(error)) {
        first.cancel();
        throw error;
      }
      await announceHost(link, signal);
      this.peerId = newPeerId();
      const conversation = openConversation(link, task.id, this.peerId);
      onBegun(conversation);
      return { conversation, answer: await this.register(conversation, changes, signal) };
    }
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

  /** Does what the scheduler says until the pieces are there or nothing more can come of it. */
  private async follow(
    conversation: MovingConversation,
    firstAnswer: ScheduleAnswer,
    signal: AbortSignal,
  ): Promise<ConversationOutcome> {
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
          return this.isDone() ? 'complete' : 'given-up';
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

  private async fromParents(
    conversation: MovingConversation,
    candidates: commonV2.Peer[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { task, request, limiters, log } = this.options;
    if (task.contentLengthBytes === undefined) {
      const learnt = lengthToldBy(candidates) ?? (await this.services.learnLength(candidates, task.id, signal));
      if (learnt === undefined) return false;
      await task.setContentLength(learnt);
    }
    const pieces = this.missing() ?? [];
    if (pieces.length === 0) return true;
    const done = new AbortController();
    const session: { target?: PushTarget; unregister?: () => void } = {};
    const listen = (): void => {
      session.unregister?.();
      if (session.target !== undefined) session.unregister = this.services.hearNews(this.peerId, session.target);
    };
    const watching = conversation.keepTold(
      {
        register: (link, until) => this.openAgain(link, {}, until),
        answered: async (answer) => {
          // The parents at hand go on serving: another scheduler may know of more, but none is to begin at the source.
          if (answer.$case !== 'normalTaskResponse') return 'leave';
          session.target?.addParents(answer.value.candidateParents);
          listen();
          return 'stay';
        },
        begin: { $case: 'downloadPeerStartedRequest', value: {} },
      },
      AbortSignal.any([signal, done.signal]),
    );
    try {
      const outcome = await this.services.fetchFromParents(
        {
          onBegun: (target) => {
            session.target = target;
            listen();
          },
          onMoreParents: (more) => {
            candidates.push(...more);
          },
          task,
          request,
          candidates,
          pieces,
          limiters,
          banned: this.banned,
          log,
          onPiece: (record) => {
            conversation.reportPiece(record);
          },
          onPieceFailed: (pieceNumber, parentId) => {
            conversation.report({
              $case: 'downloadPieceFailedRequest',
              value: { pieceNumber, parentId, temporary: true },
            });
          },
        },
        signal,
      );
      return outcome === 'complete';
    } finally {
      done.abort();
      session.unregister?.();
      await watching;
    }
  }

  private async goToSource(
    conversation: MovingConversation,
    signal: AbortSignal,
  ): Promise<ConversationOutcome | 'refused'> {
    const { request } = this.options;
    if (!request.mayGoBackToSource) {
      await conversation.finish({
        $case: 'downloadPeerFailedRequest',
        value: { description: 'back-to-source is disabled for this download' },
      });
      return 'given-up';
    }
    const reading = new SourceReading(conversation, {
      held: this.held(),
      read: (hold, onPiece, until) => this.fromSource(hold, onPiece, until),
      register: (next, until) => this.openAgain(next, { needBackToSource: true }, until),
      holdSource: (at, until) => this.holdAt(at, until),
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
    if (conversation.lostBecause === undefined || this.missing()?.length !== 0 || this.wanted !== undefined) return;
    await new FinishedAnnouncer(this.services, log).announce(request, task, signal);
  }

  private async fromSource(
    hold: SourceHold | undefined,
    onPiece: ((record: PieceRecord) => void) | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { task, request, limiters, log } = this.options;
    await this.services.fetchFromSource(
      { task, request, pieces: this.missing(), limiters, hold, log, onPiece: onPiece ?? (() => {}) },
      signal,
    );
  }

  /** Wanted pieces that are not in the store; undefined while the length is unknown. */
  private missing(): number[] | undefined {
    const { task, wanted } = this.options;
    if (task.contentLengthBytes === undefined) return undefined;
    const missing = task.missingPieces();
    if (wanted === undefined) return missing;
    return missing.filter((number) => isWithin(wanted, number));
  }

  /** Wanted pieces that are in the store. */
  private held(): PieceRecord[] {
    const { task, wanted } = this.options;
    const held = [...task.pieces()];
    return wanted === undefined ? held : held.filter(({ number }) => isWithin(wanted, number));
  }
}

/** Carries a failure of the source past the handling of scheduler failures. */
class SourceFailure extends DfError {
  constructor(override readonly cause: DfError) {
    super(cause.code, cause.message, { cause });
  }
}

/** What the scheduler says when it does not know the host (the original hides that behind the peer). */
function isUnknownHost(error: unknown): boolean {
  return error instanceof DfError && error.code === 'not-found';
}

function isWithin(span: PieceSpan, number: number): boolean {
  return number >= span.first && number < span.first + span.count;
}

function rethrow(error: DfError): never {
  throw error;
}

/** Our scheduler tells waiting peers the length as soon as it is known. */
function lengthToldBy(candidates: readonly commonV2.Peer[]): number | undefined {
  for (const { task } of candidates) {
    const length = task?.contentLength ?? 0n;
    if (length > 0n && length <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(length);
  }
  return undefined;
}
