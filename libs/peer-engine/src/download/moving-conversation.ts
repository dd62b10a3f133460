import { setImmediate as afterPendingInput } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import { backoffMs, sleep } from '../backoff.js';
import type { Conversation, PeerReport, ScheduleAnswer } from '../scheduler/conversation.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import { pieceMessage } from './piece-message.js';
import { originOf } from './traffic.js';

/** Pause between two looks whether there is any scheduler. */
const LOOK_INTERVAL_MS = 250;
/** Pause after schedulers have been asked to take the download over and did not: 100 ms, doubling up to 5 s. */
const MOVE_FIRST_MS = 100;
const MOVE_MAX_MS = 5000;
/** Pieces of before that are reported in one go; others of this process get their turn in between. */
const REPORT_BATCH = 256;

/** A conversation that has begun, and what the scheduler said first. */
export interface OpenedConversation {
  readonly conversation: Conversation;
  readonly answer: ScheduleAnswer;
}

export interface MovingConversationOptions {
  readonly task: StoredTask;
  readonly schedulers: () => readonly SchedulerLink[];
  readonly reportDown: (link: SchedulerLink, reason: string) => void;
  readonly log: Logger;
}

/** How a download goes on that has lost its scheduler while it fetches. */
export interface Move {
  /** Registers at the next scheduler. */
  readonly register: (link: SchedulerLink, signal: AbortSignal) => Promise<OpenedConversation>;
  /** Said to the next scheduler before the pieces. */
  readonly begin: PeerReport;
  /**
   * The next scheduler has answered.
   * @returns `stay`: it listens from now on and is told of every piece so far; `leave`: another one, or later again;
   *   `end`: no scheduler is needed any more
   */
  readonly answered: (
    answer: ScheduleAnswer,
    link: SchedulerLink,
    signal: AbortSignal,
  ) => Promise<'stay' | 'leave' | 'end'>;
}

/**
 * What a download says to its scheduler. When that one is lost in the middle, the download goes on and the next one is
 * told of it with everything so far, so that it knows who has what and who reads the source.
 */
export class MovingConversation {
  constructor(
    private current: Conversation,
    private link: SchedulerLink | undefined,
    private readonly options: MovingConversationOptions,
  ) {}

  /** Whom it is told; undefined until a download that began without any scheduler has found one. */
  get scheduler(): SchedulerLink | undefined {
    return this.link;
  }

  get lostBecause(): DfError | undefined {
    return this.current.lostBecause;
  }

  report(report: PeerReport): void {
    this.current.report(report);
  }

  reportPiece(record: PieceRecord): void {
    this.current.report(
      originOf(record) === 'source'
        ? {
            $case: 'downloadPieceBackToSourceFinishedRequest',
            value: { piece: pieceMessage(record, commonV2.TrafficType.BACK_TO_SOURCE) },
          }
        : {
            $case: 'downloadPieceFinishedRequest',
            value: { piece: pieceMessage(record, commonV2.TrafficType.REMOTE_PEER) },
          },
    );
  }

  /**
   * Pieces that were in the store before this download began, as after a restart. The scheduler can send others here for
   * them at once, not only when the first new piece is finished.
   */
  async reportHeld(records: Iterable<PieceRecord>): Promise<void> {
    await inBatches(records, (record) => {
      // Whoever gave them then is no parent of this download.
      const piece = { ...pieceMessage(record, commonV2.TrafficType.LOCAL_PEER), parentId: undefined };
      this.current.report({ $case: 'downloadPieceFinishedRequest', value: { piece } });
    });
  }

  ask(report: PeerReport, timeoutMs: number, signal: AbortSignal): Promise<ScheduleAnswer> {
    return this.current.ask(report, timeoutMs, signal);
  }

  finish(report: PeerReport): Promise<void> {
    return this.current.finish(report);
  }

  /** Ends it without a word. */
  cancel(): void {
    this.current.cancel();
  }

  /** Looks for another listener whenever there is none, until the signal fires. Never throws. */
  async keepTold(move: Move, signal: AbortSignal): Promise<void> {
    const { log, reportDown, task } = this.options;
    while (!signal.aborted) {
      await either(this.current.over, signal);
      if (signal.aborted) return;
      if (this.link !== undefined) {
        const lostBecause = this.current.lostBecause;
        const reason = lostBecause?.message ?? 'it closed the stream';
        log.info({ taskId: task.id, scheduler: this.link.address, reason }, 'lost the scheduler of a running download');
        if (lostBecause?.code === 'unavailable') reportDown(this.link, reason);
      }
      for (let refusals = 0; ;) {
        if (this.options.schedulers().length === 0) {
          if (!(await sleep(LOOK_INTERVAL_MS, signal))) return;
          continue;
        }
        const outcome = await this.moveOn(move, signal);
        if (outcome === 'end') return;
        if (outcome === 'stay') break;
        refusals += 1;
        if (!(await sleep(backoffMs(refusals, MOVE_FIRST_MS, MOVE_MAX_MS), signal))) return;
      }
    }
  }

  private async moveOn(move: Move, signal: AbortSignal): Promise<'stay' | 'leave' | 'end'> {
    const { schedulers, log, task } = this.options;
    for (const link of schedulers()) {
      let opened: Conversation | undefined;
      try {
        const { conversation, answer } = await move.register(link, signal);
        opened = conversation;
        const outcome = await move.answered(answer, link, signal);
        if (outcome !== 'stay') {
          void conversation.finish({
            $case: 'downloadPeerFailedRequest',
            value: { description: 'goes on without this scheduler' },
          });
          if (outcome === 'end') return 'end';
          continue;
        }
        opened = undefined;
        this.current = conversation;
        this.link = link;
        conversation.report(move.begin);
        await this.reportAll();
        log.info({ taskId: task.id, scheduler: link.address }, 'another scheduler has been told of the download');
        return 'stay';
      } catch (error) {
        // Nobody else knows of it: the scheduler would wait for this peer as long as the process lives.
        opened?.cancel();
        if (signal.aborted) return 'end';
        log.debug(
          { taskId: task.id, scheduler: link.address, err: error },
          'a scheduler does not take the download over',
        );
      }
    }
    return 'leave';
  }

  /** Everything that was fetched before this scheduler listened. */
  private async reportAll(): Promise<void> {
    await inBatches(this.options.task.pieces(), (record) => {
      this.reportPiece(record);
    });
  }
}

async function inBatches(records: Iterable<PieceRecord>, report: (record: PieceRecord) => void): Promise<void> {
  let count = 0;
  for (const record of records) {
    report(record);
    count += 1;
    if (count % REPORT_BATCH === 0) await afterPendingInput();
  }
}

/** Resolves when one of the two fires. */
async function either(one: AbortSignal, other: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([one, other]);
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
