import type { Metadata, status as Status } from '@grpc/grpc-js';
import type { DeepPartial } from '@dragonfly/proto';
import type { RpcLog } from './log.js';
import { type CallStatus, callStatus, statusOfError } from './status.js';
import type { ServerStream } from './stream-call.js';

/**
 * How a stream ends and who waits for room on it: the same for every carrier. A stream is over once, by its handler or by a
 * cancel; from then on nothing is sent, and whoever waits for room is let go.
 */
export abstract class SendingStream<Res> implements ServerStream<Res> {
  abstract readonly peer: string;
  abstract readonly metadata: Metadata;
  /** As in the definition of the service, with both slashes. */
  protected abstract readonly methodPath: string;
  private isFinished = false;
  private isCancelled = false;
  private cancelListener: (() => void) | undefined;
  private controller: AbortController | undefined;
  private waiting: (() => void)[] = [];

  abstract send(message: DeepPartial<Res>): boolean;
  /** Whether the carrier takes no more at the moment. Its `drain` calls `wake`. */
  protected abstract isFull(): boolean;
  /** Ends the stream of the carrier. @param status undefined for OK */
  protected abstract close(status: CallStatus | undefined): void;

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.isCancelled) this.controller.abort();
    return this.controller.signal;
  }

  get isOver(): boolean {
    return this.isFinished || this.isCancelled;
  }

  async whenWritable(): Promise<void> {
    if (this.isOver || !this.isFull()) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  async sendWhenWritable(message: DeepPartial<Res>): Promise<void> {
    if (!this.send(message)) await this.whenWritable();
  }

  end(): void {
    this.finish(undefined);
  }

  fail(status: Status, message: string, detailsBytes?: Uint8Array): void {
    this.finish(callStatus(status, message, detailsBytes));
  }

  failWith(error: unknown, log: RpcLog): void {
    // After a cancel most errors are its consequence; there is nobody left to tell.
    if (!this.isOver) this.finish(statusOfError(error, this.methodPath, log));
  }

  onCancel(listener: () => void): void {
    this.cancelListener = listener;
  }

  /** The stream was cancelled: nothing is sent from now on. `tellCancelled` follows, in this turn or a later one. */
  protected markCancelled(): void {
    this.isCancelled = true;
  }

  /** Lets everybody know who listens or waits. */
  protected tellCancelled(): void {
    this.controller?.abort();
    this.wake();
    this.cancelListener?.();
  }

  /** There is room again, or no hope of it. */
  protected wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private finish(status: CallStatus | undefined): void {
    if (this.isOver) return;
    this.isFinished = true;
    this.close(status);
    this.wake();
  }
}
