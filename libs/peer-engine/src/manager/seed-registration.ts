import type { ClientWritableStream } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { managerV2, type Empty } from '@dragonfly/proto';
import { errorOfCall, unary } from '@dragonfly/rpc';
import { FirstContact, type Logger } from '@dragonfly/telemetry';
import { backoffMs, sleep } from '../backoff.js';
import type { HostIdentity } from '../host/identity.js';

const CALL_DEADLINE_MS = 10_000;
/** Pause before the manager is asked again: half a second, doubling up to 30 s. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A keep-alive stream that lived this long was no failure of the manager's start-up. */
const STABLE_MS = 10_000;
/** Keep-alive messages that may pile up unread; a message has some 50 bytes. */
const MAX_UNREAD_BYTES = 16 * 1024;

export interface SeedRegistrationOptions {
  readonly client: managerV2.ManagerClient;
  readonly identity: HostIdentity;
  readonly clusterId: number;
  readonly port: number;
  readonly idc?: string | null | undefined;
  readonly location?: string | null | undefined;
  readonly keepAliveIntervalMs: number;
  readonly log: Logger;
  /**
   * Told of every change. Once registered that stays true: peers and schedulers that know this seed go on without the
   * manager, and only the detail tells that it is away.
   */
  readonly onState: (hasRegistered: boolean, detail: string) => void;
}

/**
 * Makes this seed peer a member of its cluster at the manager and keeps it active there: registers, then sends a
 * keep-alive message at every interval. When the stream breaks it registers again, because the manager may have been
 * restarted or may have forgotten the seed peer.
 */
export class SeedRegistration {
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;

  constructor(private readonly options: SeedRegistrationOptions) {}

  start(): void {
    this.running = this.run();
  }

  /** Closes the keep-alive stream: the manager marks the seed peer inactive at once. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { log, onState } = this.options;
    const { signal } = this.stopped;
    const contact = new FirstContact();
    let failures = 0;
    let hasRegistered = false;
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      try {
        await this.register();
        contact.made();
        hasRegistered = true;
        onState(true, `member of seed peer cluster ${this.options.clusterId}`);
        await this.keepAlive();
        return;
      } catch (caught) {
        if (signal.aborted) return;
        const reason = DfError.from(caught).message;
        onState(hasRegistered, hasRegistered ? `manager away: ${reason}` : reason);
        log[contact.level]({ reason }, 'the manager does not hold the registration of this seed peer');
      }
      failures = performance.now() - startedAtMs > STABLE_MS ? 1 : failures + 1;
      if (!(await sleep(backoffMs(failures, RETRY_FIRST_MS, RETRY_MAX_MS), signal))) return;
    }
  }

  private async register(): Promise<void> {
    const { client, identity, clusterId, port, idc, location } = this.options;
    await unary<managerV2.UpdateSeedPeerRequest, managerV2.SeedPeer>(
      client.updateSeedPeer.bind(client),
      {
        sourceType: managerV2.SourceType.SEED_PEER_SOURCE,
        hostname: identity.hostname,
        type: 'super',
        idc: idc ?? undefined,
        location: location ?? undefined,
        ip: identity.ip,
        port,
        downloadPort: port,
        seedPeerClusterId: BigInt(clusterId),
      },
      { deadlineMs: CALL_DEADLINE_MS, signal: this.stopped.signal },
    );
  }

  /** @returns when stopped. @throws DfError when the stream ends otherwise */
  private async keepAlive(): Promise<void> {
    const { client, identity, clusterId, keepAliveIntervalMs } = this.options;
    const { signal } = this.stopped;
    // Not a promise that each wait is raced against: every race would leave something on it, and streams live for months.
    const ended = new AbortController();
    const woken = AbortSignal.any([signal, ended.signal]);
    const stream: ClientWritableStream<managerV2.KeepAliveRequest> = client.keepAlive(
      (error: Error | null, _answer?: Empty) => {
        ended.abort(
          error === null ? new DfError('unavailable', 'the manager ended the keep-alive') : errorOfCall(error),
        );
      },
    );
    // The callback tells of errors, too.
    stream.on('error', () => {});
    try {
      for (;;) {
        stream.write({
          sourceType: managerV2.SourceType.SEED_PEER_SOURCE,
          hostname: identity.hostname,
          ip: identity.ip,
          clusterId: BigInt(clusterId),
        });
        if (stream.writableLength > MAX_UNREAD_BYTES) {
          throw new DfError('unavailable', 'the manager does not read the keep-alive');
        }
        await sleep(keepAliveIntervalMs, woken);
        if (signal.aborted) return;
        ended.signal.throwIfAborted();
      }
    } finally {
      if (signal.aborted) stream.end();
      else stream.cancel();
    }
  }
}
