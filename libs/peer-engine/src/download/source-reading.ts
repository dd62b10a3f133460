import { setImmediate as afterPendingInput } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import { backoffMs, sleep } from '../backoff.js';
import type { Conversation, PeerReport, ScheduleAnswer } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { HoldAnswer, SourceHold } from '../source/source-hold.js';
import { pieceMessage } from './piece-message.js';
import { originOf } from './traffic.js';

/** Pause between two rounds of looking for a scheduler that takes the download over. */
const MOVE_FIRST_MS = 100;
const MOVE_MAX_MS = 1000;
/** Pieces of before that are reported in one go; others of this process get their turn in between. */
const REPORT_BATCH = 256;

/** A conversation that has begun, and what the scheduler said first. */
export interface OpenedConversation {
  readonly conversation: Conversation;
  readonly answer: ScheduleAnswer;
}

export interface SourceReadingOptions {
  readonly task: StoredTask;
  /** Reads what is missing. */
  readonly read: (
    hold: SourceHold | undefined,
    onPiece: (record: PieceRecord) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  readonly schedulers: () => readonly SchedulerLink[];
  /** Registers anew, as a peer that reads the source. */
  readonly register: (link: SchedulerLink, signal: AbortSignal) => Promise<OpenedConversation>;
  readonly holdSource: (link: SchedulerLink, signal: AbortSignal) => Promise<HoldAnswer>;
  readonly reportDown: (link: SchedulerLink, reason: string) => void;
  readonly log: Logger;
}

/** How reading a source on behalf of a scheduler ended. */
export type ReadingOutcome =
  | 'complete'
  /** Nothing was read: somebody else does. */
  | 'refused'
  /** Given up in the middle: the lease is another's by now, or others have the content. */
  | 'superseded';

/**
 * One peer's reading of a source, told to a scheduler piece by piece. When that scheduler dies the reading goes on, and the
 * next one is told of it and of every piece so far: nobody else need begin.
 */
export class SourceReading {
  private hold: SourceHold | undefined;
  /** The scheduler it began with is no longer the one that listens. */
  private hasMoved = false;
  private readonly superseded = new AbortController();

  constructor(
    private conversation: Conversation,
    private link: SchedulerLink,
    private readonly options: SourceReadingOptions,
  ) {}

  /** @throws DfError when the signal fires, or what the source answered; the scheduler has been told then */
  async run(signal: AbortSignal): Promise<ReadingOutcome> {
    const answer = await this.options.holdSource(this.link, signal);
    if (answer.kind === 'refused') return 'refused';
    if (answer.kind === 'granted') this.hold = answer.hold;
    const done = new AbortController();
    const watching = this.keepTold(AbortSignal.any([signal, done.signal]));
    try {
      this.conversation.report({ $case: 'downloadPeerBackToSourceStartedRequest', value: {} });
      await this.read(signal);
      done.abort();
      await watching;
      await this.conversation.finish({ $case: 'downloadPeerBackToSourceFinishedRequest', value: {} });
      return 'complete';
    } catch (caught) {
      done.abort();
      await watching;
      if (signal.aborted) {
        // Told, so that the scheduler offers this peer to nobody; bounded, and nobody waits for it.
        if (this.hasMoved) void this.conversation.finish(failed('cancelled'));
        throw DfError.from(signal.reason, 'cancelled');
      }
      if (this.superseded.signal.aborted) {
        await this.conversation.finish(failed('the source is read by somebody else'));
        return 'superseded';
      }
      const error = DfError.from(caught, 'unavailable');
      this.conversation.report(sourceFailureReport(error));
      await this.conversation.finish({
        $case: 'downloadPeerBackToSourceFailedRequest',
        value: { description: error.message },
      });
      throw error;
    } finally {
      this.hold?.release();
    }
  }

  /** Whether the scheduler was lost and no other knows that the content is here now. */
  get isUnknown(): boolean {
    return this.conversation.lostBecause !== undefined;
  }

  private async read(signal: AbortSignal): Promise<void> {
    this.watch(this.hold);
    await this.options.read(
      this.hold,
      (record) => {
        this.report(record);
      },
      AbortSignal.any([signal, this.superseded.signal]),
    );
  }

  /** A lease that is taken away ends the reading. */
  private watch(hold: SourceHold | undefined): void {
    hold?.revoked.addEventListener('abort', () => {
      if (hold === this.hold) this.superseded.abort(hold.revoked.reason);
    });
  }

  private report(record: PieceRecord): void {
    this.conversation.report({
      $case: 'downloadPieceBackToSourceFinishedRequest',
      value: { piece: pieceMessage(record, commonV2.TrafficType.BACK_TO_SOURCE) },
    });
  }

  /** Looks for another listener whenever there is none. Never throws. */
  private async keepTold(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await either(this.conversation.over, signal);
      if (signal.aborted) return;
      const { log, reportDown, task } = this.options;
      const reason = this.conversation.lostBecause ?? new DfError('unavailable', 'the scheduler closed the stream');
      log.info(
        { taskId: task.id, scheduler: this.link.address, reason: reason.message },
        'lost the scheduler of a source',
      );
      if (reason.code === 'unavailable') reportDown(this.link, reason.message);
      for (let round = 1; !(await this.moveOn(signal)); round += 1) {
        if (!(await sleep(backoffMs(round, MOVE_FIRST_MS, MOVE_MAX_MS), signal))) return;
      }
    }
  }

  /** @returns whether some scheduler listens now, or none need to */
  private async moveOn(signal: AbortSignal): Promise<boolean> {
    const { schedulers, register, log, task } = this.options;
    for (const link of schedulers()) {
      try {
        const { conversation, answer } = await register(link, signal);
        if (answer.$case !== 'needBackToSourceResponse') {
          void conversation.finish(failed('reads the source already'));
          this.superseded.abort(new DfError('unavailable', 'other peers have the content, or are reading it'));
          return true;
        }
        this.conversation = conversation;
        this.link = link;
        this.hasMoved = true;
        await this.renewHold(link, signal);
        conversation.report({ $case: 'downloadPeerBackToSourceStartedRequest', value: {} });
        await this.reportAll();
        log.info({ taskId: task.id, scheduler: link.address }, 'another scheduler has been told of the source');
        return true;
      } catch (error) {
        if (signal.aborted) return true;
        log.debug(
          { taskId: task.id, scheduler: link.address, err: error },
          'a scheduler does not take the source over',
        );
      }
    }
    return false;
  }

  private async renewHold(link: SchedulerLink, signal: AbortSignal): Promise<void> {
    const answer = await this.options.holdSource(link, signal);
    if (answer.kind !== 'granted') return;
    // What is being read goes by the old hold's bounds, which the new scheduler may have made tighter or wider.
    const before = this.hold;
    this.hold = answer.hold;
    this.watch(answer.hold);
    before?.followLimitsOf(answer.hold);
    before?.release();
  }

  /** Everything that was read before this scheduler listened. */
  private async reportAll(): Promise<void> {
    let count = 0;
    for (const record of this.options.task.pieces()) {
      if (originOf(record) !== 'source') continue;
      this.report(record);
      count += 1;
      if (count % REPORT_BATCH === 0) await afterPendingInput();
    }
  }
}

function failed(description: string): PeerReport {
  return { $case: 'downloadPeerFailedRequest', value: { description } };
}

/** Resolves when one of the two fires. */
async function either(one: AbortSignal, other: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([one, other]);
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
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
