import {
  Channel,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  connectivityState,
  type InterceptingListener,
  Metadata,
  status as Status,
} from '@grpc/grpc-js';

/** A call below the client classes; grpc-js does not export the name. */
type ChannelCall = ReturnType<ChannelInterface['createCall']>;

/**
 * A channel whose calls never throw. That of grpc-js throws out of every call, of whatever kind, once its client has been
 * closed; whoever holds a client that another part may close would have to catch that beside the failures of the call.
 * Here such a call ends with UNAVAILABLE, as one to a server that is gone.
 */
export class LastingChannel implements ChannelInterface {
  private readonly inner: Channel;
  /** Known here: to ask a closed channel of grpc-js for its state may wake it up again. */
  private isClosed = false;

  constructor(target: string, credentials: ChannelCredentials, options: ChannelOptions) {
    this.inner = new Channel(target, credentials, options);
  }

  close(): void {
    this.isClosed = true;
    this.inner.close();
  }

  getTarget(): string {
    return this.inner.getTarget();
  }

  getConnectivityState(tryToConnect: boolean): connectivityState {
    return this.isClosed ? connectivityState.SHUTDOWN : this.inner.getConnectivityState(tryToConnect);
  }

  /** As the original; of a closed channel the callback is told, as at the end of the time. */
  watchConnectivityState(...watch: Parameters<ChannelInterface['watchConnectivityState']>): void {
    if (!this.isClosed) this.inner.watchConnectivityState(...watch);
    else queueMicrotask(() => watch[2](new Error('the client has been closed')));
  }

  getChannelzRef(): ReturnType<ChannelInterface['getChannelzRef']> {
    return this.inner.getChannelzRef();
  }

  createCall(...call: Parameters<ChannelInterface['createCall']>): ChannelCall {
    return this.isClosed ? new ClosedCall(this.getTarget()) : this.inner.createCall(...call);
  }
}

/** A call of a client that has been closed: takes everything, and ends as soon as somebody listens. */
class ClosedCall implements ChannelCall {
  private status = { code: Status.UNAVAILABLE, details: 'the client has been closed' };

  constructor(private readonly target: string) {}

  start(_: Metadata, listener: InterceptingListener): void {
    // In a later turn, as every answer: the caller is still installing its own listeners.
    process.nextTick(() => listener.onReceiveStatus({ ...this.status, metadata: new Metadata() }));
  }

  cancelWithStatus(code: Status, details: string): void {
    this.status = { code, details };
  }

  getPeer(): string {
    return this.target;
  }

  sendMessageWithContext(context: Parameters<ChannelCall['sendMessageWithContext']>[0]): void {
    process.nextTick(() => context.callback?.());
  }

  startRead(): void {}

  halfClose(): void {}

  getCallNumber(): number {
    return 0;
  }

  setCredentials(): void {}

  getAuthContext(): null {
    return null;
  }
}
