import { DfError } from '@dragonfly/errors';
import { durationToMs, type extSource } from '@dragonfly/proto';
import { BidiCall } from '@dragonfly/rpc';
import type { Logger } from '@dragonfly/telemetry';
import { RateLimiter } from '@dragonfly/vortex';
import { sleep, within } from '../backoff.js';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import { RequestGate } from './request-gate.js';

/** A scheduler that does not decide by then counts as not to be reached. */
const ANSWER_TIMEOUT_MS = 5000;
/** Where the scheduler does not say how often it wants to hear. */
const DEFAULT_REPORT_INTERVAL_MS = 5000;
const MIN_REPORT_INTERVAL_MS = 100;

export interface HoldRequest {
  readonly hostId: string;
  readonly taskId: string;
  readonly peerId: string;
  readonly url: string;
  readonly log: Logger;
}

/** What a scheduler says to a host that wants to read a source. */
export type HoldAnswer =
  | { readonly kind: 'granted'; readonly hold: SourceHold }
  /** Somebody else reads it, or the origin is busy. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** A scheduler of the plain protocol: nobody there counts readers. */
  | { readonly kind: 'unsupported' }
  /** `isDead`: the scheduler does not answer, rather than that it cannot help. */
  | { readonly kind: 'unreachable'; readonly isDead: boolean };

/**
 * The right to read a source, for as long as a stream to the scheduler is open, with what the scheduler allows. When the
 * scheduler goes away the reading goes on within the last allowance.
 */
export class SourceHold {
  /** In force for everything that is read under this hold. */
  readonly limiter = new RateLimiter(Infinity);
  readonly gate = new RequestGate();
  private readonly revocation = new AbortController();
  private readonly ended = new AbortController();
  private reportIntervalMs = DEFAULT_REPORT_INTERVAL_MS;
  private readonly first = Promise.withResolvers<HoldAnswer>();
  private completedBytes = 0;
  private follower: (() => void) | undefined;

  private constructor(
    private readonly link: SchedulerLink,
    private readonly call: BidiCall<extSource.HoldSourceRequest, extSource.SourceGrant>,
    private readonly request: HoldRequest,
  ) {}

  /** Asks one scheduler. @throws DfError when the signal fires */
  static async ask(link: SchedulerLink, request: HoldRequest, signal: AbortSignal): Promise<HoldAnswer> {
    // Nobody would release it: its signal has fired already.
    if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
    if (!link.mayHave('source')) return { kind: 'unsupported' };
    const client = link.source;
    const call = BidiCall.open<extSource.HoldSourceRequest, extSource.SourceGrant>(client.holdSource.bind(client));
    const hold = new SourceHold(link, call, request);
    const onAbort = (): void => {
      hold.release();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      void hold.listen();
      void hold.report();
      const answer = await within(hold.first.promise, ANSWER_TIMEOUT_MS);
      if (signal.aborted) throw DfError.from(signal.reason, 'cancelled');
      if (answer === 'late') {
        hold.release();
        return { kind: 'unreachable', isDead: true };
      }
      return answer;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Fires when the scheduler takes the right away: somebody else may be reading by then. */
  get revoked(): AbortSignal {
    return this.revocation.signal;
  }

  /** What is still read under this hold obeys the limits of that one from now on. */
  followLimitsOf(next: SourceHold): void {
    const follow = (): void => {
      this.limiter.setRate(next.limiter.rateBytesPerSecond);
      this.gate.setLimit(next.gate.limitOfOpen);
    };
    follow();
    next.follower = follow;
  }

  /** One more piece has been read. */
  progress(bytes: number): void {
    this.completedBytes += bytes;
  }

  /** To be called when nothing is read any more; may be called more than once. */
  release(): void {
    this.ended.abort();
    this.call.cancel();
  }

  private async listen(): Promise<void> {
    const { log, taskId } = this.request;
    let isGranted = false;
    try {
      for await (const grant of this.call.messages()) {
        this.link.heard();
        if (grant.granted) {
          isGranted = true;
          this.allow(grant);
          this.first.resolve({ kind: 'granted', hold: this });
        } else if (isGranted) {
          log.warn({ taskId, scheduler: this.link.address, reason: grant.reason }, 'the lease to the source was lost');
          this.revocation.abort(new DfError('unavailable', `the lease to the source was lost: ${grant.reason}`));
        } else {
          this.first.resolve({ kind: 'refused', reason: grant.reason });
        }
      }
      this.first.resolve({ kind: 'unreachable', isDead: true });
    } catch (caught) {
      const error = DfError.from(caught);
      if (error.code === 'unimplemented') this.link.hasNo('source');
      else if (!this.ended.signal.aborted) log.debug({ taskId, reason: error.message }, 'source lease stream broken');
      this.first.resolve(
        error.code === 'unimplemented'
          ? { kind: 'unsupported' }
          : { kind: 'unreachable', isDead: error.code === 'unavailable' },
      );
    } finally {
      this.ended.abort();
    }
  }

  private allow(grant: extSource.SourceGrant): void {
    const rate = Number(grant.bytesPerSecond);
    this.limiter.setRate(rate === 0 ? Infinity : rate);
    this.gate.setLimit(grant.concurrentRequests);
    this.follower?.();
    if (grant.reportInterval !== undefined) {
      this.reportIntervalMs = Math.max(MIN_REPORT_INTERVAL_MS, durationToMs(grant.reportInterval));
    }
  }

  /** Half of the interval that the scheduler names: one late timer must not cost the lease. */
  private async report(): Promise<void> {
    const { hostId, taskId, peerId, url } = this.request;
    try {
      do {
        await this.call.send({
          hostId,
          taskId,
          peerId,
          origin: originOf(url),
          noWait: true,
          completedBytes: BigInt(this.completedBytes),
        });
      } while (await sleep(this.reportIntervalMs / 2, this.ended.signal));
    } catch {
      // The stream is over; the listener knows why.
    }
  }
}

/** Scheme, host and port; of a source without a host its scheme alone: paths and queries may hold secrets. */
function originOf(url: string): string {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    return 'unknown:';
  }
}
