import type {
  Metadata,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerInterceptor,
} from '@grpc/grpc-js';

export type Call = ServerInterceptingCallInterface;
export type InterceptingServerListener = Parameters<Call['start']>[0];
type InterceptedMethod = Parameters<ServerInterceptor>[0];

/** grpc-js types the result as its own class, but uses (and passes in) the interface alone. */
export function interceptor(wrap: (method: InterceptedMethod, call: Call) => Call): ServerInterceptor {
  return (method, call) => wrap(method, call) as ServerInterceptingCall;
}

/**
 * Passes everything on. grpc-js has a class for this (`ServerInterceptingCall`), which runs each message through
 * closures in both directions; here only what a subclass overrides costs anything.
 */
export class DelegatingCall implements Call {
  constructor(protected readonly inner: Call) {}

  start(listener: InterceptingServerListener): void {
    this.inner.start(listener);
  }

  sendMetadata(metadata: Metadata): void {
    this.inner.sendMetadata(metadata);
  }

  sendMessage(message: unknown, callback: () => void): void {
    this.inner.sendMessage(message, callback);
  }

  sendStatus(status: Parameters<Call['sendStatus']>[0]): void {
    this.inner.sendStatus(status);
  }

  startRead(): void {
    this.inner.startRead();
  }

  getPeer(): string {
    return this.inner.getPeer();
  }

  getDeadline(): ReturnType<Call['getDeadline']> {
    return this.inner.getDeadline();
  }

  getHost(): string {
    return this.inner.getHost();
  }

  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.inner.getAuthContext();
  }

  getConnectionInfo(): ReturnType<Call['getConnectionInfo']> {
    return this.inner.getConnectionInfo();
  }

  getMetricsRecorder(): ReturnType<Call['getMetricsRecorder']> {
    return this.inner.getMetricsRecorder();
  }
}
