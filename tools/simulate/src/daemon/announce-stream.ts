import type { DeepPartial, schedulerV2 } from '@dragonfly/proto';
import type { AnnounceCall } from '@dragonfly/scheduler/embedded';

type Request = schedulerV2.AnnouncePeerRequest;
type Response = schedulerV2.AnnouncePeerResponse;

/** What becomes of an AnnouncePeer stream, seen from the daemon. */
export interface StreamListener {
  onAnswer(response: DeepPartial<Response>): void;
  /** The scheduler has ended the stream, with an error if there is a text. */
  onEnd(error: string | undefined): void;
}

/** An AnnouncePeer stream without a network: the scheduler's side is what its session expects of gRPC. */
export class AnnounceStream {
  readonly call: AnnounceCall;
  #onMessage: (message: Request) => void = () => undefined;
  #onCancel: () => void = () => undefined;
  #isOver = false;

  constructor(listener: StreamListener) {
    const end = (error: string | undefined): void => {
      if (this.#isOver) return;
      this.#isOver = true;
      listener.onEnd(error);
    };
    const isOver = (): boolean => this.#isOver;
    // The session reads neither address nor metadata; the cast stands for a class of grpc-js that nothing here needs.
    this.call = {
      peer: 'simulated',
      metadata: undefined as unknown as AnnounceCall['metadata'],
      signal: NEVER_ABORTED,
      get isOver() {
        return isOver();
      },
      send: (response) => {
        if (!this.#isOver) listener.onAnswer(response);
        return true;
      },
      whenWritable: () => Promise.resolve(),
      sendWhenWritable: (response) => {
        if (!this.#isOver) listener.onAnswer(response);
        return Promise.resolve();
      },
      end: () => {
        end(undefined);
      },
      fail: (_status, message) => {
        end(message);
      },
      failWith: (error) => {
        end(String(error));
      },
      onCancel: (callback) => {
        this.#onCancel = callback;
      },
      onMessage: (callback) => {
        this.#onMessage = callback;
      },
      onEnd: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
    };
  }

  send(message: Request): void {
    if (!this.#isOver) this.#onMessage(message);
  }

  /** The daemon is gone. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onCancel();
  }
}

const NEVER_ABORTED = new AbortController().signal;
