import { DfError } from '@dragonfly/errors';
import type { PeerId, PieceSpan } from '@dragonfly/ids';
import { pieceCount } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import type { RateLimiter } from '@dragonfly/vortex';
import type { Conversation, PeerReport, ScheduleAnswer } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { SessionOutcome } from '../parents/parent-session.js';
import { resolveRange } from './byte-range.js';
import type { DownloadRequest } from './download-request.js';
import { pieceMessage } from './piece-message.js';

/** What a scheduler reads as "length unknown": all bits set, −1 in its own type. */
export const UNKNOWN_CONTENT_LENGTH = 2n ** 64n - 1n;

/** Schedulers tried for one attempt. */
const MAX_SCHEDULERS = 3;

/** How talking to one scheduler ended. */
type ConversationOutcome =
  /** Everything is in the store. */
  | 'complete'
  /** The scheduler is gone; another one may help. */
  | 'lost'
  /** The scheduler is alive and cannot help: the rest comes from the source. */
  | 'given-up';

export interface AttemptOptions {
  readonly task: StoredTask;
  readonly request: DownloadRequest;
  /** Pieces wanted; undefined while the length is unknown: all of them. */
  readonly wanted: PieceSpan | undefined;
  /** Whether schedulers are asked at all. */
  readonly usesScheduler: boolean;
  readonly limiters: readonly RateLimiter[];
  readonly log: Logger;
}

/** What an attempt needs of the daemon. */
export interface AttemptServices {
  readonly hostId: string;
  readonly newPeerId: () => PeerId;
  readonly maxScheduleCount: number;
  readonly scheduleTimeoutMs: number;
  readonly concurrentPieceCount: number;
  /** Schedulers for a task in the order in which they are to be tried. */
  readonly schedulersFor: (taskId: string) => readonly SchedulerLink[];
  readonly openConversation: (link: SchedulerLink, taskId: string, peerId: string) => Conversation;
  /** Announces this host to a scheduler that does not know it. */
  readonly announceHost: (link: SchedulerLink, signal: AbortSignal) => Promise<void>;
  readonly reportDown: (link: SchedulerLink, reason: string) => void;
  readonly fetchFromParents: (options: ParentsOptions, signal: AbortSignal) => Promise<SessionOutcome>;
  readonly fetchFromSource: (options: SourceOptions, signal: AbortSignal) => Promise<void>;
  /** Asks parents for the length of a content that was unknown when the task began. */
  readonly learnLength: (
    candidates: readonly commonV2.Peer[],
    taskId: string,
    signal: AbortSignal,
  ) => Promise<number | undefined>;
}

export interface ParentsOptions {
  readonly task: StoredTask;
  readonly request: DownloadRequest;
  readonly candidates: readonly commonV2.Peer[];
  readonly pieces: readonly number[];
  readonly limiters: readonly RateLimiter[];
  readonly banned: Set<string>;
  readonly onPiece: (record: PieceRecord) => void;
  readonly onPieceFailed: (pieceNumber: number, parentId: string) => void;
  readonly log: Logger;
}

export interface SourceOptions {
  readonly task: StoredTask;
  readonly request: DownloadRequest;
  readonly pieces: readonly number[] | undefined;
  readonly limiters: readonly RateLimiter[];
  readonly onPiece: (record: PieceRecord) => void;
  readonly log: Logger;
}

/**
 * One way of getting a set of pieces: through schedulers and parents, else from the source. Pieces go into the store;
 * whoever waits for them watches the store.
 */
export class Attempt {
  /** The latest peer id; each conversation has its own. */
  peerId: PeerId;
  private readonly banned = new Set<string>();

  constructor(
    private readonly options: AttemptOptions,
    private readonly services: AttemptServices,
  ) {
    this.peerId = services.newPeerId();
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
    await this.fromSource(undefined, signal);
  }

  /** @returns whether that brought everything */
  private async askSchedulers(signal: AbortSignal): Promise<boolean> {
    const { log } = this.options;
    const links = this.services.schedulersFor(this.options.task.id).slice(0, MAX_SCHEDULERS);
    for (const [index, link] of links.entries()) {
      // A peer id lives for one conversation: a scheduler refuses one it has seen.
      if (index > 0) this.peerId = this.services.newPeerId();
      const outcome = await this.talk(link, signal);
      if (outcome === 'complete') return true;
      if (outcome === 'given-up') return false;
      if (this.isDone()) return true;
      log.info({ scheduler: link.address }, 'lost the scheduler of a download');
    }
    return false;
  }

  private async talk(link: SchedulerLink, signal: AbortSignal): Promise<ConversationOutcome> {
    const first = this.services.openConversation(link, this.options.task.id, this.peerId);
    let conversation = first;
    try {
      let answer: ScheduleAnswer;
      try {
        answer = await this.register(first, signal);
      } catch (error) {
        if (!isUnknownHost(error)) throw error;
        // The scheduler was restarted and has forgotten this host.
        await this.services.announceHost(link, signal);
        this.peerId = this.services.newPeerId();
        conversation = this.services.openConversation(link, this.options.task.id, this.peerId);
        answer = await this.register(conversation, signal);
      }
      return await this.follow(conversation, answer, signal);
    } catch (caught) {
      if (signal.aborted) {
        // Told, so that the scheduler offers this peer to nobody; bounded, and nobody waits for it.
        void conversation.finish({ $case: 'downloadPeerFailedRequest', value: { description: 'cancelled' } });
        throw DfError.from(signal.reason, 'cancelled');
      }
      conversation.cancel();
      const error = DfError.from(caught);
      if (error instanceof SourceFailure) throw error.cause;
      this.options.log.warn({ scheduler: link.address, code: error.code, reason: error.message }, 'scheduling failed');
      if (error.code !== 'unavailable') return error.code === 'no-space' ? rethrow(error) : 'given-up';
      this.services.reportDown(link, error.message);
      return 'lost';
    }
  }

  private register(conversation: Conversation, signal: AbortSignal): Promise<ScheduleAnswer> {
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
    conversation: Conversation,
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
        case 'needBackToSourceResponse':
          return this.goToSource(conversation, signal);
        case 'normalTaskResponse': {
          const { candidateParents } = answer.value;
          conversation.report({ $case: 'downloadPeerStartedRequest', value: {} });
          if (await this.fromParents(conversation, candidateParents, signal)) {
            await conversation.finish({ $case: 'downloadPeerFinishedRequest', value: {} });
            return 'complete';
          }
          if (conversation.lostBecause !== undefined) return 'lost';
          answer = await conversation.ask(
            {
              $case: 'reschedulePeerRequest',
              value: {
                candidateParents,
                description: 'not all pieces are downloaded from parent',
              },
            },
            this.services.scheduleTimeoutMs,
            signal,
          );
          break;
        }
        case 'metadataOnlyResponse':
          throw new DfError('internal', 'the scheduler answered a download as if it had announced metadata');
      }
    }
  }

  private async fromParents(
    conversation: Conversation,
    candidates: readonly commonV2.Peer[],
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
    const outcome = await this.services.fetchFromParents(
      {
        task,
        request,
        candidates,
        pieces,
        limiters,
        banned: this.banned,
        log,
        onPiece: (record) => {
          conversation.report({
            $case: 'downloadPieceFinishedRequest',
            value: { piece: pieceMessage(record, commonV2.TrafficType.REMOTE_PEER) },
          });
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
  }

  private async goToSource(conversation: Conversation, signal: AbortSignal): Promise<ConversationOutcome> {
    if (!this.options.request.mayGoBackToSource) {
      await conversation.finish({
        $case: 'downloadPeerFailedRequest',
        value: { description: 'back-to-source is disabled for this download' },
      });
      return 'given-up';
    }
    conversation.report({ $case: 'downloadPeerBackToSourceStartedRequest', value: {} });
    try {
      await this.fromSource(conversation, signal);
    } catch (caught) {
      if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
      const error = DfError.from(caught, 'unavailable');
      conversation.report(sourceFailureReport(error));
      await conversation.finish({
        $case: 'downloadPeerBackToSourceFailedRequest',
        value: { description: error.message },
      });
      throw new SourceFailure(error);
    }
    await conversation.finish({ $case: 'downloadPeerBackToSourceFinishedRequest', value: {} });
    return 'complete';
  }

  private async fromSource(conversation: Conversation | undefined, signal: AbortSignal): Promise<void> {
    const { task, request, limiters, log } = this.options;
    await this.services.fetchFromSource(
      {
        task,
        request,
        pieces: this.missing(),
        limiters,
        log,
        onPiece: (record) => {
          conversation?.report({
            $case: 'downloadPieceBackToSourceFinishedRequest',
            value: { piece: pieceMessage(record, commonV2.TrafficType.BACK_TO_SOURCE) },
          });
        },
      },
      signal,
    );
  }

  /** Wanted pieces that are not in the store; undefined while the length is unknown. */
  private missing(): number[] | undefined {
    const { task, wanted } = this.options;
    if (task.contentLengthBytes === undefined) return undefined;
    const missing = task.missingPieces();
    if (wanted === undefined) return missing;
    return missing.filter((number) => number >= wanted.first && number < wanted.first + wanted.count);
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

function sourceFailureReport(error: DfError): PeerReport {
  const { statusCode, headers, message } = error.details;
  return {
    $case: 'downloadPieceBackToSourceFailedRequest',
    value: {
      response:
        error.code === 'origin'
          ? {
              $case: 'backend',
              value: {
                message: typeof message === 'string' ? message : error.message,
                header: isTextMap(headers) ? headers : {},
                statusCode: typeof statusCode === 'number' ? statusCode : undefined,
              },
            }
          : { $case: 'unknown', value: { message: error.message } },
    },
  };
}

function isTextMap(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' && value !== null && Object.values(value).every((entry) => typeof entry === 'string')
  );
}
