import type { Metadata, status as Status } from '@grpc/grpc-js';
import type { DeepPartial } from '@dragonfly/proto';
import type { RpcLog } from './log.js';

/** The sending half of a streaming call, seen from the server. */
export interface ServerStream<Res> {
  /** Address of the caller; 'unknown' over a unix socket. */
  readonly peer: string;
  readonly metadata: Metadata;
  /** Aborted when the caller is gone, not when the call ends normally. */
  readonly signal: AbortSignal;
  /** Whether the call has ended, in whatever way; sending is pointless then. */
  readonly isOver: boolean;
  /**
   * Sends a message; dropped when the call is over.
   * @returns false when the caller reads more slowly than we send: wait for `whenWritable` before the next one
   */
  send(message: DeepPartial<Res>): boolean;
  /** Resolves when there is room again, or the call is over. */
  whenWritable(): Promise<void>;
  /** `send`, then `whenWritable` if need be. */
  sendWhenWritable(message: DeepPartial<Res>): Promise<void>;
  /** Ends the call with OK after what was sent. */
  end(): void;
  /** Ends the call with a status; `detailsBytes` go into `grpc-status-details-bin`. */
  fail(status: Status, message: string, detailsBytes?: Uint8Array): void;
  /** Ends the call with the status for something caught; see `statusOfError`. */
  failWith(error: unknown, log: RpcLog): void;
  /** The caller cancelled, vanished, or sent something invalid. Not called after `end` or `fail`. One listener. */
  onCancel(listener: () => void): void;
}

/** A bidirectional call seen from the server. Listeners are installed in the turn the call arrives; one of each. */
export interface StreamCall<Req, Res> extends ServerStream<Res> {
  onMessage(listener: (message: Req) => void): void;
  /** The caller half-closed: it sends no more but still listens. Not called for a cancelled call. */
  onEnd(listener: () => void): void;
  /** Stops taking messages; HTTP/2 flow control then holds the caller back. */
  pause(): void;
  resume(): void;
}
