import { type MethodDefinition, type ServerInterceptor, type ServiceDefinition, status as Status } from '@grpc/grpc-js';
import { type Call, DelegatingCall, type InterceptingServerListener, interceptor } from './delegating-call.js';

/** As monitoring of gRPC servers has always named the four kinds. */
export type CallType = 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';

const STATUS_COUNT = Number(Status.UNAUTHENTICATED) + 1;

/** What one method has been asked and has answered since the start. */
export class MethodCounts {
  started = 0;
  received = 0;
  sent = 0;
  /** Ended calls by number of their status. */
  readonly ended = new Float64Array(STATUS_COUNT);

  constructor(
    /** Full name of the service, e.g. `scheduler.v2.Scheduler`. */
    readonly service: string,
    /** E.g. `AnnouncePeer`. */
    readonly method: string,
    readonly type: CallType,
  ) {}

  /** A call has ended. */
  end(code: Status): void {
    const index = code in Status ? code : Status.UNKNOWN;
    this.ended[index] = (this.ended[index] ?? 0) + 1;
  }
}

/**
 * Counts the calls of one or more servers by method. Plain numbers, so that a message costs an addition; `./metrics`
 * shows them to whoever asks for metrics.
 *
 * What the library answers by itself it does not tell: a request that cannot be decoded or is too large counts as
 * cancelled. A call of a method that does not exist is not counted.
 */
export class CallCounts {
  readonly #byPath = new Map<string, MethodCounts>();

  /** Of every method that is served, called or not. */
  get methods(): Iterable<MethodCounts> {
    return this.#byPath.values();
  }

  /** The methods of a service will be served. */
  expect(service: ServiceDefinition): void {
    for (const method of Object.values(service)) this.of(method);
  }

  of({ path, requestStream, responseStream }: Described): MethodCounts {
    let counts = this.#byPath.get(path);
    if (counts === undefined) {
      const [, service = '', method = ''] = path.split('/');
      counts = new MethodCounts(service, method, typeOf(requestStream, responseStream));
      this.#byPath.set(path, counts);
    }
    return counts;
  }
}

type Described = Pick<MethodDefinition<unknown, unknown>, 'path' | 'requestStream' | 'responseStream'>;

/** Has to be the first of a server's interceptors, so that it sees what the others refuse. */
export function countingInterceptor(counts: CallCounts): ServerInterceptor {
  return interceptor((method, call) => new CountedCall(call, counts.of(method)));
}

class CountedCall extends DelegatingCall {
  private hasEnded = false;

  constructor(
    inner: Call,
    private readonly counts: MethodCounts,
  ) {
    super(inner);
    counts.started += 1;
  }

  override start(listener: InterceptingServerListener): void {
    const { counts } = this;
    this.inner.start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message) => {
        counts.received += 1;
        listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel: () => {
        // Also told after a status was sent.
        this.ended(this.isTooLate() ? Status.DEADLINE_EXCEEDED : Status.CANCELLED);
        listener.onCancel();
      },
    });
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.counts.sent += 1;
    this.inner.sendMessage(message, callback);
  }

  override sendStatus(status: Parameters<Call['sendStatus']>[0]): void {
    this.ended(status.code ?? Status.UNKNOWN);
    this.inner.sendStatus(status);
  }

  private ended(code: Status): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.counts.end(code);
  }

  private isTooLate(): boolean {
    return !this.hasEnded && Number(this.inner.getDeadline()) <= Date.now();
  }
}

function typeOf(requestStream: boolean, responseStream: boolean): CallType {
  if (requestStream) return responseStream ? 'bidi_stream' : 'client_stream';
  return responseStream ? 'server_stream' : 'unary';
}
