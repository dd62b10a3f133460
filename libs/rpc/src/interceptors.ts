import { status as Status, type ServerInterceptor } from '@grpc/grpc-js';
import { hasRules, requestTypes, validateMessage } from '@dragonfly/proto';
import { type Call, DelegatingCall, type InterceptingServerListener, interceptor } from './delegating-call.js';
import { type CallStatus, callStatus } from './status.js';
import type { TokenBucket } from './token-bucket.js';

const HEALTH_PREFIX = '/grpc.health.v1.Health/';

/**
 * Refuses calls beyond the rate with RESOURCE_EXHAUSTED. Counts unary calls and newly opened streams, not the messages
 * in a stream. Health checks pass: a busy server is not a dead one.
 */
export function rateLimitInterceptor(bucket: TokenBucket): ServerInterceptor {
  const refusal = callStatus(Status.RESOURCE_EXHAUSTED, 'too many requests');
  return interceptor(({ path }, call) =>
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
  return interceptor(({ path }, call) => {
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
