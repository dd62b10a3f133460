import { status as Status, type ServerInterceptor } from '@grpc/grpc-js';
import { hasRules, requestTypes, validateMessage } from '@dragonfly/proto';
import { type Call, DelegatingCall, type InterceptingServerListener, interceptor } from './delegating-call.js';
import { type CallStatus, callStatus } from './status.js';
import type { TokenBucket } from './token-bucket.js';

/** Said to calls beyond the rate. */
export const TOO_MANY = callStatus(Status.RESOURCE_EXHAUSTED, 'too many requests');
/** Said to those who show a certificate that has been revoked. */
export const REVOKED = callStatus(Status.UNAUTHENTICATED, 'the certificate has been revoked');

const HEALTH_PREFIX = '/grpc.health.v1.Health/';

/**
 * Refuses calls beyond the rate with RESOURCE_EXHAUSTED. Counts unary calls and newly opened streams, not the messages
 * in a stream. Health checks pass: a busy server is not a dead one.
 */
export function rateLimitInterceptor(bucket: TokenBucket): ServerInterceptor {
  return interceptor(({ path }, call) =>
    path.startsWith(HEALTH_PREFIX) || bucket.tryTake() ? call : new RefusedCall(call, TOO_MANY),
  );
}

/**
 * Checks every received message against the rules of its type and ends the call with INVALID_ARGUMENT at the first
 * violation; the handler sees such a stream as cancelled. Calls whose request has no rules are returned untouched, so
 * they pay nothing.
 */
export function validationInterceptor(): ServerInterceptor {
  return interceptor(({ path }, call) => {
    const type = checkedTypeOf(path);
    return type === null ? call : new ValidatedCall(call, type);
  });
}

const checkedTypes = new Map<string, string | null>();

/** The type of a method's requests; null when nothing can be wrong with them. */
function checkedTypeOf(path: string): string | null {
  let type = checkedTypes.get(path);
  if (type === undefined) {
    const name = requestTypes().get(path);
    type = name !== undefined && hasRules(name) ? name : null;
    checkedTypes.set(path, type);
  }
  return type;
}

/** @returns what is wrong with a request of the method */
export function violationOf(path: string, message: unknown): string | undefined {
  const type = checkedTypeOf(path);
  return type === null ? undefined : validateMessage(type, message);
}

/** Refuses calls over connections whose client shows a revoked certificate; the connection may be older than that. */
export function revocationInterceptor(isRevoked: (serial: string) => boolean): ServerInterceptor {
  return interceptor((_, call) => {
    const serial = call.getAuthContext().sslPeerCertificate?.serialNumber.toLowerCase();
    return serial !== undefined && isRevoked(serial) ? new RefusedCall(call, REVOKED) : call;
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
