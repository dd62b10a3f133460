/** A part of the content. */
export interface ByteRange {
  readonly startBytes: number;
  /** At least 1. */
  readonly lengthBytes: number;
}

/** What an earlier `stat` said; a later answer that disagrees is refused, so that two versions are never mixed. */
export interface ExpectedContent {
  readonly contentLengthBytes?: number;
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface SourceRequest {
  readonly url: string;
  /** Sent to the origin as they are, but for those the adapter must decide itself (ranges, encodings, conditions). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the request and the reading of its body. */
  readonly signal: AbortSignal;
  /** Take any TLS certificate. @default the backend's setting */
  readonly insecureSkipVerify?: boolean;
  /** PEM certificates trusted besides the system's and the backend's. */
  readonly caCertificates?: readonly string[];
  readonly expected?: ExpectedContent;
}

export interface RangeRequest extends SourceRequest {
  readonly range?: ByteRange;
}

/** What an origin says about a content without sending it. */
export interface SourceInfo {
  /** Undefined when the origin does not tell. */
  readonly contentLengthBytes?: number;
  /** The origin said, or showed, that it serves parts. */
  readonly supportsRange: boolean;
  readonly statusCode: number;
  /** Lower case names; repeated headers joined with ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly etag?: string;
  readonly lastModified?: string;
}

/** Whoever takes the bytes of a body as they come, into buffers of its own. */
export interface ByteReceiver {
  /**
   * Where the next bytes go: at least one byte, the body's until `received` or the end of the call. A promise means that
   * there is no room before it is settled; then this is asked again. Undefined: enough.
   */
  nextBuffer(): Uint8Array | Promise<void> | undefined;
  /** So many bytes, at least one, are at the beginning of the buffer that `nextBuffer` gave last. */
  received(bytes: number): void;
}

/** A content, or a part of it, being received. Read it to the end or cancel it. */
export interface SourceBody {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** False: the origin ignored the range, the whole content comes from byte 0. */
  readonly isPartial: boolean;
  /** Of this body; undefined when it ends where it ends. */
  readonly contentLengthBytes?: number;
  /** Of the whole content, when the origin tells. */
  readonly totalLengthBytes?: number;

  /**
   * Fills `buffer` completely, or up to the end or failure of the body. Nothing is read from the network while no call is pending:
   * a slow reader slows the origin down and costs no memory.
   *
   * One call at a time. `buffer` (at least 1 byte) belongs to the body until the promise is settled.
   * @returns bytes read; 0 = the body is over
   * @throws DfError `origin` for a body that is shorter than announced or malformed, `deadline-exceeded` for a stalled
   *   origin, `unavailable` for a broken connection, `cancelled` by a signal; the body is over then. Bytes that came
   *   before such a failure (but a cancellation) are returned first, the next call throws: they need not be fetched again
   */
  readInto(buffer: Uint8Array, signal?: AbortSignal): Promise<number>;

  /**
   * Hands the body to `receiver` until that wants no more or the body ends. Cheaper than `readInto` for many bytes: the
   * receiver names its next buffer while the socket waits for it, so that reading need not stop between two of them.
   *
   * Instead of `readInto`, not beside it.
   * @throws DfError as `readInto`, and what the receiver throws; the receiver keeps what it has received by then
   */
  pour(receiver: ByteReceiver, signal?: AbortSignal): Promise<void>;

  /** Gives the rest up. Does nothing on a body that is over. */
  cancel(): void;
}

/** Where content comes from when no peer has it: one adapter per family of URL schemes. */
export abstract class SourceBackend {
  /** Lower case, without the colon. */
  abstract readonly schemes: readonly string[];

  /**
   * Asks about the content. Costs the origin at most one byte of body where it plays by the rules.
   * @throws DfError `origin` with details `{statusCode?, headers, message}` when the origin refuses, `unavailable` when
   *   it cannot be reached, `invalid-argument` for a bad request
   */
  abstract stat(request: SourceRequest): Promise<SourceInfo>;

  /**
   * Begins to read. A range is verified against the answer: what comes is exactly that part, or `isPartial` is false.
   * @throws DfError as `stat`; `origin` with `details.changed` when the content is not the `expected` one any more
   */
  abstract read(request: RangeRequest): Promise<SourceBody>;

  /** Ends idle connections; requests under way go on. */
  abstract close(): Promise<void>;
}
