import { DfError } from '@dragonfly/errors';
import type { PieceRecord } from '@dragonfly/piece-store';
import type { PeerReport } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { HoldAnswer, SourceHold } from '../source/source-hold.js';
import type { MovingConversation, OpenedConversation } from './moving-conversation.js';

export interface SourceReadingOptions {
  /** Pieces that are in the store before anything is read. */
  readonly held: readonly PieceRecord[];
  /** Reads what is missing. */
  readonly read: (
    hold: SourceHold | undefined,
    onPiece: (record: PieceRecord) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Registers anew, as a peer that reads the source. */
  readonly register: (link: SchedulerLink, signal: AbortSignal) => Promise<OpenedConversation>;
  readonly holdSource: (link: SchedulerLink, signal: AbortSignal) => Promise<HoldAnswer>;
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
  private readonly superseded = new AbortController();

  constructor(
    private readonly conversation: MovingConversation,
    private readonly options: SourceReadingOptions,
  ) {}

  /** @throws DfError when the signal fires, or what the source answered; the scheduler has been told then */
  async run(signal: AbortSignal): Promise<ReadingOutcome> {
    const { conversation } = this;
    if (conversation.scheduler !== undefined) {
      const answer = await this.options.holdSource(conversation.scheduler, signal);
      if (answer.kind === 'refused') return 'refused';
      if (answer.kind === 'granted') this.hold = answer.hold;
    }
    const done = new AbortController();
    conversation.report(STARTED);
    await conversation.reportHeld(this.options.held);
    const watching = conversation.keepTold(
      {
        register: this.options.register,
        answered: async (next, link, until) => {
          if (next.$case !== 'needBackToSourceResponse') {
            this.superseded.abort(new DfError('unavailable', 'other peers have the content, or are reading it'));
            return 'end';
          }
          await this.renewHold(link, until);
          return 'stay';
        },
        begin: STARTED,
      },
      AbortSignal.any([signal, done.signal]),
    );
    try {
      await this.read(signal);
      done.abort();
      await watching;
      await conversation.finish({ $case: 'downloadPeerBackToSourceFinishedRequest', value: {} });
      return 'complete';
    } catch (caught) {
      done.abort();
      await watching;
      // Whoever began the conversation tells the scheduler.
      if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
      if (this.superseded.signal.aborted) {
        await conversation.finish(failed('the source is read by somebody else'));
        return 'superseded';
      }
      const error = DfError.from(caught, 'unavailable');
      conversation.report(sourceFailureReport(error));
      await conversation.finish({
        $case: 'downloadPeerBackToSourceFailedRequest',
        value: { description: error.message },
      });
      throw error;
    } finally {
      this.hold?.release();
    }
  }

  private async read(signal: AbortSignal): Promise<void> {
    this.watch(this.hold);
    await this.options.read(
      this.hold,
      (record) => {
        this.conversation.reportPiece(record);
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
}

const STARTED: PeerReport = { $case: 'downloadPeerBackToSourceStartedRequest', value: {} };

function failed(description: string): PeerReport {
  return { $case: 'downloadPeerFailedRequest', value: { description } };
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
