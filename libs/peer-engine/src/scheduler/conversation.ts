import { status as Status, type ClientDuplexStream } from '@grpc/grpc-js';
import { setImmediate } from 'node:timers/promises';
import { DfError } from '@dragonfly/errors';
import type { schedulerV2 } from '@dragonfly/proto';
import { sleep, within } from '../backoff.js';

/** What a peer says to its scheduler. */
export type PeerReport = NonNullable<schedulerV2.AnnouncePeerRequest['request']>;
/** What the scheduler answers to a registration or a reschedule. */
export type ScheduleAnswer = NonNullable<schedulerV2.AnnouncePeerResponse['response']>;

/** Without an answer for this long the scheduler's health is looked at, beside the waiting. */
const PROOF_OF_LIFE_AFTER_MS = 300;
/** Deadline of that look. With the pause before it: a dead scheduler costs less than a second. */
const PROOF_OF_LIFE_DEADLINE_MS = 600;
/** One that has shown a sign of life is looked at again at this distance, and may take as long to answer. */
const PATIENT_PROOF_MS = 5000;
/** How long the scheduler may take to close the stream after the last message. */
const CLOSE_TIMEOUT_MS = 10_000;
/** Reports that a scheduler does not read are kept up to this size; beyond it the conversation is given up. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/** Answers nobody asked for. One response follows one question, so more than this is not the protocol. */
const MAX_UNREAD_ANSWERS = 4;

/** One AnnouncePeer stream as a download sees it. */
export interface Conversation {
  /** Says something that has no answer. Dropped silently once the conversation is lost. */
  report(report: PeerReport): void;
  /**
   * Says something and waits for the answer to it.
   * @throws DfError `unavailable` when the scheduler is dead or the stream breaks, `deadline-exceeded` after `timeoutMs`,
   * and whatever status the scheduler ended the stream with
   */
  ask(report: PeerReport, timeoutMs: number, signal: AbortSignal): Promise<ScheduleAnswer>;
  /** Says the last thing and waits until the scheduler closes the stream; gives up quietly after ten seconds. */
  finish(report: PeerReport): Promise<void>;
  /** Ends it without a word. */
  cancel(): void;
  /** Why it ended early; undefined while it lives. */
  readonly lostBecause: DfError | undefined;
  /** Whether the scheduler has said anything on it. */
  readonly isInTouch: boolean;
  /** Fires when it ends, early or not. */
  readonly over: AbortSignal;
}

/** Of a download that has no scheduler yet: over before it began. */
export class NoConversation implements Conversation {
  readonly lostBecause = new DfError('unavailable', 'no scheduler can be reached');
  readonly isInTouch = false;
  readonly over = AbortSignal.abort();

  report(): void {}

  ask(): Promise<ScheduleAnswer> {
    return Promise.reject(this.lostBecause);
  }

  async finish(): Promise<void> {}

  cancel(): void {}
}

export interface ConversationIds {
  readonly hostId: string;
  readonly taskId: string;
  readonly peerId: string;
}

type AnnouncePeerCall = ClientDuplexStream<schedulerV2.AnnouncePeerRequest, schedulerV2.AnnouncePeerResponse>;

/** {@link Conversation} over a gRPC stream. */
export class AnnouncePeerConversation implements Conversation {
  private readonly answers: ScheduleAnswer[] = [];
  private readonly ended = Promise.withResolvers<void>();
  private wake: (() => void) | undefined;
  private lost: DfError | undefined;
  private readonly end = new AbortController();
  private isEnded = false;
  /** The scheduler has sent headers or more: it lives, or lived a moment ago. */
  private hasShownLife = false;

  /**
   * @param call a stream that was just opened
   * @param isAlive looks at the scheduler's health by another call; never throws
   */
  constructor(
    private readonly call: AnnouncePeerCall,
    private readonly ids: ConversationIds,
    private readonly isAlive: (deadlineMs: number, signal: AbortSignal) => Promise<boolean>,
  ) {
    call.on('metadata', () => {
      this.hasShownLife = true;
    });
    call.on('data', (message: schedulerV2.AnnouncePeerResponse) => {
      this.receive(message);
    });
    // `status` follows and says the same with its code; without a listener the error would be thrown.
    call.on('error', () => {});
    call.on('status', (status) => {
      this.isEnded = true;
      if (status.code !== Status.OK) {
        const error = Object.assign(new Error(status.details), {
          code: status.code,
          details: status.details,
        });
        this.lose(DfError.from(error));
      }
      this.ended.resolve();
      this.end.abort();
      this.wake?.();
    });
  }

  get lostBecause(): DfError | undefined {
    return this.lost;
  }

  get isInTouch(): boolean {
    return this.hasShownLife;
  }

  get over(): AbortSignal {
    return this.end.signal;
  }

  report(report: PeerReport): void {
    if (this.lost !== undefined || this.isEnded) return;
    this.call.write({ ...this.ids, request: report });
    if (this.call.writableLength > MAX_UNSENT_BYTES) {
      this.lose(new DfError('unavailable', 'the scheduler does not read the piece reports'));
      this.call.cancel();
    }
  }

  async ask(report: PeerReport, timeoutMs: number, signal: AbortSignal): Promise<ScheduleAnswer> {
    this.report(report);
    const finished = new AbortController();
    const watch = this.watchLife(AbortSignal.any([finished.signal, signal]));
    try {
      return await this.nextAnswer(timeoutMs, signal);
    } finally {
      finished.abort();
      await watch;
    }
  }

  async finish(report: PeerReport): Promise<void> {
    this.report(report);
    if (this.lost === undefined) {
      this.call.end();
      await within(this.ended.promise, CLOSE_TIMEOUT_MS);
    }
    if (!this.isEnded) this.call.cancel();
  }

  cancel(): void {
    this.call.cancel();
  }

  private receive(message: schedulerV2.AnnouncePeerResponse): void {
    // An answer of a kind that a newer scheduler invented: nothing can be done with it.
    if (message.response === undefined) return;
    this.answers.push(message.response);
    if (this.answers.length > MAX_UNREAD_ANSWERS) {
      this.lose(new DfError('internal', 'the scheduler sends answers nobody asked for'));
      this.call.cancel();
    }
    this.wake?.();
  }

  private async nextAnswer(timeoutMs: number, signal: AbortSignal): Promise<ScheduleAnswer> {
    const deadline = performance.now() + timeoutMs;
    const onAbort = (): void => this.wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const answer = this.answers.shift();
        if (answer !== undefined) return answer;
        if (this.lost !== undefined) throw this.lost;
        if (this.isEnded) throw new DfError('unavailable', 'the scheduler closed the stream without an answer');
        const restMs = deadline - performance.now();
        if (restMs <= 0) throw new DfError('deadline-exceeded', `no answer of the scheduler in ${timeoutMs} ms`);
        const woken = Promise.withResolvers<void>();
        this.wake = woken.resolve;
        await within(woken.promise, Math.min(restMs, 2 ** 31 - 1));
        this.wake = undefined;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** A stopped or unplugged scheduler closes nothing: without this a download would wait for hours. */
  private async watchLife(signal: AbortSignal): Promise<void> {
    let pauseMs = PROOF_OF_LIFE_AFTER_MS;
    while (await sleep(pauseMs, signal)) {
      if (!this.hasShownLife || pauseMs === PATIENT_PROOF_MS) {
        const hadShownLife = this.hasShownLife;
        const isAlive = await this.isAlive(hadShownLife ? PATIENT_PROOF_MS : PROOF_OF_LIFE_DEADLINE_MS, signal);
        // When this process itself was held up, timers fire before what has arrived meanwhile is read: let it be read.
        await setImmediate();
        if (signal.aborted) return;
        if (!isAlive && hadShownLife === this.hasShownLife) {
          this.lose(new DfError('unavailable', 'the scheduler does not answer'));
          this.call.cancel();
          this.wake?.();
          return;
        }
      }
      pauseMs = PATIENT_PROOF_MS;
    }
  }

  private lose(reason: DfError): void {
    this.lost ??= reason;
    this.end.abort();
  }
}
