import type { PeerId, PieceSpan } from '@dragonfly/ids';
import type { PieceRecord, StoredTask } from '@dragonfly/piece-store';
import type { commonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import type { RateLimiter } from '@dragonfly/vortex';
import type { SessionOutcome } from '../parents/parent-session.js';
import type { Conversation } from '../scheduler/conversation.js';
import type { PushTarget } from '../scheduler/push-listener.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { HoldAnswer, HoldRequest, SourceHold } from '../source/source-hold.js';
import type { DownloadRequest } from './download-request.js';

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
  /** Asks a scheduler for leave to read a source. */
  readonly holdSource: (link: SchedulerLink, request: HoldRequest, signal: AbortSignal) => Promise<HoldAnswer>;
  /** A download whose schedulers have all gone waits for one to come back for so long. */
  readonly lossPatienceMs: number;
  /**
   * Asks the manager at once for schedulers, when the last of them was lost a moment ago, and waits until those are
   * looked at. Bounded. @returns whether one is usable
   */
  readonly lookForSchedulers: (signal: AbortSignal) => Promise<boolean>;
  /** Whether a source may be read when schedulers are configured and none can be reached. */
  readonly maySourceWithoutScheduler: boolean;
  /** Whether this daemon has been told of any scheduler, up or down. */
  readonly hasSchedulers: () => boolean;
  /** Passes on what a scheduler has to say to a peer without being asked. @returns ends that */
  readonly hearNews: (peerId: string, target: PushTarget) => () => void;
  /** Asks parents for the length of a content that was unknown when the task began. */
  readonly learnLength: (
    candidates: readonly commonV2.Peer[],
    taskId: string,
    signal: AbortSignal,
  ) => Promise<number | undefined>;
}

export interface ParentsOptions {
  /** The session takes further parents until it is over. */
  readonly onBegun: (session: PushTarget) => void;
  /** Parents that came as news. */
  readonly onMoreParents: (parents: readonly commonV2.Peer[]) => void;
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
  /** What the scheduler allows; undefined: nobody counts. */
  readonly hold: SourceHold | undefined;
  readonly task: StoredTask;
  readonly request: DownloadRequest;
  readonly pieces: readonly number[] | undefined;
  readonly limiters: readonly RateLimiter[];
  readonly onPiece: (record: PieceRecord) => void;
  readonly log: Logger;
}
