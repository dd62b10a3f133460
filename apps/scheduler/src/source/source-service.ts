import { type extSource, msToDuration } from '@dragonfly/proto';
import { asPeerId } from '@dragonfly/ids';
import type { StreamCall } from '@dragonfly/rpc';
import type { Clock, LeaseHandle, LeaseVerdict, ParentScheduler, Resources, Timer } from '@dragonfly/scheduling';
import type { Logger } from '@dragonfly/telemetry';
import type { SourceLeaseTable } from './lease-table.js';

/** A holder reports at least this often; one that has been silent for four times as long has lost its lease. */
const REPORT_INTERVAL_MS = 2000;
const SILENCE_MS = 4 * REPORT_INTERVAL_MS;
/** How often a caller that waits is looked at, and a holder's allowance. */
const LOOK_INTERVAL_MS = 500;
/** A look that is so late says that this process stood still: reports may have come that were not read yet. */
const OWN_LATENESS_MS = 2000;

export type HoldCall = StreamCall<extSource.HoldSourceRequest, extSource.SourceGrant>;

export interface SourceServiceOptions {
  readonly leases: SourceLeaseTable;
  readonly resources: Resources;
  readonly scheduler: ParentScheduler;
  readonly clock: Clock;
  readonly log: Logger;
}

/** `dragonfly.ext.v1.SourceService`: gives source leases to daemons that ask for one themselves. */
export class SourceService {
  readonly #holds = new Set<Hold>();

  constructor(private readonly options: SourceServiceOptions) {}

  hold(call: HoldCall): void {
    const hold = new Hold(call, this.options, () => {
      this.#holds.delete(hold);
    });
    this.#holds.add(hold);
  }

  /** Ends every stream; the leases are free. */
  close(): void {
    for (const hold of [...this.#holds]) hold.end();
  }
}

/** One HoldSource stream. */
class Hold {
  #first: extSource.HoldSourceRequest | undefined;
  #handle: LeaseHandle | undefined;
  #timer: Timer | undefined;
  #heardAtMs: number;
  #lookedAtMs: number;
  #told = '';
  #isAsking = false;
  #isOver = false;

  constructor(
    private readonly call: HoldCall,
    private readonly options: SourceServiceOptions,
    private readonly onOver: () => void,
  ) {
    this.#heardAtMs = options.clock.nowMs();
    this.#lookedAtMs = this.#heardAtMs;
    call.onMessage((message) => {
      this.#receive(message);
    });
    call.onEnd(() => {
      this.end();
    });
    call.onCancel(() => {
      this.end();
    });
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#handle?.release();
    this.onOver();
    if (!this.call.isOver) this.call.end();
  }

  #receive(message: extSource.HoldSourceRequest): void {
    if (this.#isOver) return;
    const { scheduler, resources, clock } = this.options;
    this.#heardAtMs = clock.nowMs();
    const peer = resources.peers.get(asPeerId(message.peerId));
    if (peer?.task.id === message.taskId && peer.host.id === message.hostId) scheduler.heardFrom(peer);
    if (this.#first !== undefined) return;
    this.#first = message;
    this.#ask(message);
    this.#lookLater();
  }

  #ask(request: extSource.HoldSourceRequest): void {
    const { taskId, hostId, peerId, origin } = request;
    this.#isAsking = true;
    this.options.leases.claim({ taskId, hostId, peerId, url: origin }, (verdict) => {
      this.#isAsking = false;
      this.#take(request, verdict);
    });
  }

  #take(request: extSource.HoldSourceRequest, verdict: LeaseVerdict): void {
    if (this.#isOver) {
      if (verdict.kind === 'granted') verdict.handle.release();
      return;
    }
    if (verdict.kind === 'granted') {
      this.#handle = verdict.handle;
      this.#heardAtMs = this.options.clock.nowMs();
      this.options.log.debug({ taskId: request.taskId, peerId: request.peerId }, 'source lease given on request');
      this.#tellAllowance(request);
    } else if (request.noWait) {
      this.#refuse(
        verdict.kind === 'busy' ? 'the origin has as many readers as it may have' : 'another host reads the source',
        verdict.kind === 'taken' ? verdict.holder.peerId : '',
      );
    }
  }

  #lookLater(): void {
    if (this.#isOver) return;
    this.#timer = this.options.clock.after(LOOK_INTERVAL_MS, () => {
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    const request = this.#first;
    if (this.#isOver || request === undefined) return;
    const nowMs = this.options.clock.nowMs();
    const wasStandingStill = nowMs - this.#lookedAtMs > LOOK_INTERVAL_MS + OWN_LATENESS_MS;
    this.#lookedAtMs = nowMs;
    if (wasStandingStill) this.#heardAtMs = nowMs;
    if (this.#handle === undefined) {
      if (!this.#isAsking) this.#ask(request);
    } else if (nowMs - this.#heardAtMs > SILENCE_MS) {
      const { resources, scheduler } = this.options;
      const peer = resources.peers.get(asPeerId(request.peerId));
      this.#refuse(`no report for ${SILENCE_MS / 1000} s`, '');
      if (peer !== undefined) scheduler.holderSilent(peer);
    } else {
      this.#tellAllowance(request);
    }
  }

  #tellAllowance(request: extSource.HoldSourceRequest): void {
    const { bytesPerSecond, concurrentRequests } = this.options.leases.allowanceOf(request.origin);
    const told = `${bytesPerSecond} ${concurrentRequests}`;
    if (told === this.#told) return;
    this.#told = told;
    this.call.send({
      granted: true,
      bytesPerSecond: BigInt(bytesPerSecond),
      concurrentRequests,
      reportInterval: msToDuration(REPORT_INTERVAL_MS),
    });
  }

  #refuse(reason: string, holderPeerId: string): void {
    this.call.send({ granted: false, reason, holderPeerId });
    this.end();
  }
}
