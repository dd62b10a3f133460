import { DfError } from '@dragonfly/errors';
import type { PeerId, PieceSpan } from '@dragonfly/ids';
import type { StoredTask } from '@dragonfly/piece-store';
import { sleep } from '../backoff.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { HoldAnswer, SourceHold } from '../source/source-hold.js';
import type { AttemptOptions, AttemptServices } from './attempt-services.js';
import { FinishedAnnouncer } from './finished-announcer.js';
import { Registration } from './registration.js';
import { ScheduledDownload } from './scheduled-download.js';
import { isShareable } from './scheduling-choice.js';
import { WantedPieces } from './wanted-pieces.js';

/** Times that an attempt begins anew after all its schedulers were gone. */
const MAX_ROUNDS = 10;
/** While all schedulers are gone, this often is looked whether one is back. */
const RETURN_CHECK_MS = 250;
/** Times that schedulers which have come while none could be reached are asked whether a source may be read. */
const MAX_RETURNS = 3;
/** Those who have lost their scheduler together do not come back, or go to the source, in the same instant. */
const CROWD_JITTER_MS = 1000;
/** Times that an attempt gives up reading the source because another does. */
const MAX_SUPERSEDED = 3;
/** Pause before a scheduler is asked again whether the source is free. */
const HOLD_RETRY_MS = 1000;

/**
 * One way of getting a set of pieces: through schedulers and parents, else from the source. Pieces go into the store;
 * whoever waits for them watches the store.
 */
export class Attempt {
  private readonly pieces: WantedPieces;
  private readonly registration: Registration;
  private readonly scheduled: ScheduledDownload;
  /** A scheduler has answered since it was last looked whether any is left. */
  private wasInTouch = false;
  private hasLostScheduler = false;

  constructor(
    private readonly options: AttemptOptions,
    private readonly services: AttemptServices,
  ) {
    this.pieces = new WantedPieces(options.task, options.wanted);
    this.registration = new Registration(options, services);
    this.scheduled = new ScheduledDownload(options, services, this.registration, this.pieces);
  }

  /** The latest; each conversation with a scheduler has its own. */
  get peerId(): PeerId {
    return this.registration.peerId;
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
    return this.pieces.areHeld();
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
    const { log } = this.options;
    let superseded = 0;
    let rounds = 0;
    let hasAsked = false;
    do {
      for (const link of this.registration.schedulers()) {
        if (hasAsked) this.registration.renewPeerId();
        hasAsked = true;
        const { outcome, wasInTouch, wasLostInTouch } = await this.scheduled.run(link, signal);
        if (wasInTouch) this.wasInTouch = true;
        if (wasLostInTouch) this.hasLostScheduler = true;
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
   * the others that it served must not all read the source meanwhile. A download that was not is only to know of those
   * that have taken over.
   */
  private async isSchedulerBack(signal: AbortSignal): Promise<boolean> {
    const { schedulersFor, lossPatienceMs, lookForSchedulers } = this.services;
    if (await lookForSchedulers(signal)) {
      // It may be one that is just stopping and answers its health check still.
      return sleep(RETURN_CHECK_MS * (0.5 + Math.random()), signal);
    }
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
    let superseded = 0;
    let returns = 0;
    const deadlineMs = performance.now() + services.scheduleTimeoutMs;
    for (;;) {
      const { answer, link } = await this.askForHold(signal);
      switch (answer.kind) {
        case 'granted':
          try {
            const read = AbortSignal.any([signal, answer.hold.revoked]);
            await this.fromSource(answer.hold, read);
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
          // One may have come meanwhile.
          if (this.registration.schedulers().length > 0 && (returns += 1) <= MAX_RETURNS) {
            await sleep(RETURN_CHECK_MS * Math.random(), signal);
            break;
          }
          if (superseded < MAX_SUPERSEDED && services.hasSchedulers() && isShareable(task.id)) {
            if ((await this.scheduled.readUntold(signal)) === 'complete') return;
            superseded += 1;
            this.registration.renewPeerId();
            if (await this.askSchedulers(signal)) return;
            break;
          }
          await this.fromSource(undefined, signal);
          return;
        case 'unsupported':
          await this.fromSource(undefined, signal);
          return;
        case 'refused':
          log.debug({ taskId: task.id, reason: answer.reason }, 'the source may not be read now');
          if (isShareable(task.id)) {
            this.registration.renewPeerId();
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
    if (this.registration.schedulers().length === 0) await this.services.lookForSchedulers(signal);
    for (const link of this.registration.schedulers()) {
      const answer = await this.registration.holdSource(link, signal);
      if (answer.kind !== 'unreachable') return { answer, link };
      signal.throwIfAborted();
      if (answer.isDead) this.services.reportDown(link, 'it does not say whether a source may be read');
    }
    return { answer: { kind: 'unreachable', isDead: true } };
  }

  private async fromSource(hold: SourceHold | undefined, signal: AbortSignal): Promise<void> {
    const { task, request, limiters, log } = this.options;
    const pieces = this.pieces.missing();
    await this.services.fetchFromSource({ task, request, pieces, limiters, hold, log, onPiece: () => {} }, signal);
  }
}
