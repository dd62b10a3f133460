import {
  type Metadata,
  status as Status,
  type ServerInterceptingCallInterface,
  type ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { hasRules, requestTypes, validateMessage } from '@dragonfly/proto';
import { type CallStatus, callStatus } from './status.js';
import type { TokenBucket } from './token-bucket.js';

type Call = ServerInterceptingCallInterface;
type InterceptingServerListener = Parameters<Call['start']>[0];

const HEALTH_PREFIX = '/grpc.health.v1.Health/';

/**
 * Refuses calls beyond the rate with RESOURCE_EXHAUSTED. Counts unary calls and newly opened streams, not the messages
 * in a stream. Health checks pass: a busy server is not a dead one.
 */
export function rateLimitInterceptor(bucket: TokenBucket): ServerInterceptor {
  const refusal = callStatus(Status.RESOURCE_EXHAUSTED, 'too many requests');
  return interceptor((path, call) =>
    path.startsWith(HEALTH_PREFIX) || bucket.tryTake() ? call : new RefusedCall(call, refusal),
  );
}

/**
 * Checks every received message against the rules of its type and ends the call with INVALID_ARGUMENT at the first
 * violation; the handler sees such a stream as cancelled. Calls whose request has no rules are returned untouched, so
 * they pay nothing.
 */
export function validationInterceptor(): ServerInterceptor {
  const checked = new Map<string, string | null>();
  return interceptor((path, call) => {
    let type = checked.get(path);
    if (type === undefined) {
      const name = requestTypes().get(path);
      type = name !== undefined && hasRules(name) ? name : null;
      checked.set(path, type);
    }
    return type === null ? call : new ValidatedCall(call, type);
  });
}

/** Refuses calls over connections whose client shows a revoked certificate; the connection may be older than that. */
export function revocationInterceptor(isRevoked: (serial: string) => boolean): ServerInterceptor {
  const refusal = callStatus(Status.UNAUTHENTICATED, 'the certificate has been revoked');
  return interceptor((_, call) => {
    const serial = call.getAuthContext().sslPeerCertificate?.serialNumber.toLowerCase();
    return serial !== undefined && isRevoked(serial) ? new RefusedCall(call, refusal) : call;
  });
}

/** grpc-js types the result as its own class, but uses (and passes in) the interface alone. */
function interceptor(wrap: (path: string, call: Call) => Call): ServerInterceptor {
  return (method, call) => wrap(method.path, call) as ServerInterceptingCall;
}

/**
 * Passes everything on. grpc-js has a class for this (`ServerInterceptingCall`), which runs each message through
 * closures in both directions; here only what a subclass overrides costs anything.
 */
class DelegatingCall implements Call {
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

class RefusedCall extends DelegatingCall {
  constructor(
    inner: Call,
    private readonly refusal: CallStatus,
  ) {
    super(inner);
  }

  /** The handler behind this call never hears of it. */
  override start(): void {
    const ignore = (): void => undefined;
    this.inner.start({
      onReceiveMetadata: ignore,
      onReceiveMessage: ignore,
      onReceiveHalfClose: ignore,
      onCancel: ignore,
    });
    this.inner.sendStatus(this.refusal);
  }
}

class ValidatedCall extends DelegatingCall {
  private isRefused = false;

  constructor(
    inner: Call,
    private readonly messageType: string,
  ) {
    super(inner);
  }

  override start(listener: InterceptingServerListener): void {
    this.inner.start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message) => {
        if (this.isRefused) return;
        const violation = validateMessage(this.messageType, message);
        if (violation === undefined) {
          listener.onReceiveMessage(message);
          return;
        }
        this.isRefused = true;
        this.inner.sendStatus(callStatus(Status.INVALID_ARGUMENT, violation));
      },
      onReceiveHalfClose: () => {
        if (!this.isRefused) listener.onReceiveHalfClose();
      },
      onCancel: () => listener.onCancel(),
    });
  }
}
