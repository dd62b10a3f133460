/** Messages of the light protocol, version 1. Layout and rules are written down in docs/PROTOCOL.md. */

/** Version in the first message of a connection. A daemon refuses any other one by an `unimplemented` error. */
export const LIGHT_PROTOCOL_VERSION = 1;

/** Highest rate at which a daemon sends progress messages for one download, per second. */
export const MAX_PROGRESS_PER_SECOND = 10;

/** A part of the content: `lengthBytes` bytes from `startBytes` on (0-based). */
export interface LightRange {
  readonly start: number;
  readonly length: number;
}

/** W3C trace context: `traceparent`, and `tracestate` when there is one, as HTTP headers of these names carry it. */
export type LightTrace = Readonly<Record<string, string>>;

/** What dfget asks for. All lengths in bytes, all durations in milliseconds. */
export interface LightDownloadRequest {
  /** Absolute URL with a scheme that the daemon has a source for. */
  readonly url: string;
  /** Absolute path of the file to make; absent: the content is only brought into the daemon's store. */
  readonly output?: string;
  readonly tag?: string;
  readonly application?: string;
  /** Headers for the source, one value per name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `algorithm:hex` (crc32: decimal), checked before the output becomes visible. */
  readonly digest?: string;
  /** Piece length wanted, at least 4 MiB; absent or 0: chosen from the content length. */
  readonly pieceLength?: number;
  /** Query parameters that do not count for the task id; absent: the daemon's default list, empty: all count. */
  readonly filteredQueryParams?: readonly string[];
  /** Download only this part. */
  readonly range?: LightRange;
  /** Whole-download limit; absent or 0: none. */
  readonly timeoutMs?: number;
  readonly disableBackToSource?: boolean;
  /** Level 0 … 6 as in `common.v2.Priority`. @default 6 */
  readonly priority?: number;
  /** `always`: ask the scheduler however small the file is. @default 'auto' */
  readonly schedulingPolicy?: 'auto' | 'always';
  /** Replace an existing output (atomically); otherwise an existing output is an `already-exists` error. */
  readonly overwrite?: boolean;
  /** Fail rather than copy when a hard link is impossible. */
  readonly forceHardLink?: boolean;
  /** Text whose SHA-256 is the task id, instead of the URL. */
  readonly contentForCalculatingTaskId?: string;
  /** Limit for this download; absent: the daemon's own limits only. */
  readonly rateLimitBytesPerSecond?: number;
  /** Owner for the output when the daemon is allowed to give files away (caller's ids). */
  readonly uid?: number;
  readonly gid?: number;
  /** Working directory of the caller, for logs; `output` is absolute already. */
  readonly callerCwd?: string;
  /** Trace that the download becomes part of, when the daemon makes spans. */
  readonly trace?: LightTrace;
}

/** First message for a download. */
export interface DownloadMessage {
  readonly v: typeof LIGHT_PROTOCOL_VERSION;
  readonly type: 'download';
  readonly request: LightDownloadRequest;
}

/** First message that only asks who is there. */
export interface HelloRequestMessage {
  readonly v: typeof LIGHT_PROTOCOL_VERSION;
  readonly type: 'hello';
}

/** Everything a client may send. */
export type ClientMessage = DownloadMessage | HelloRequestMessage;

/** Who answers. */
export interface HelloMessage {
  readonly type: 'hello';
  /** Version of the daemon, e.g. `0.1.0`. */
  readonly version: string;
  readonly pid: number;
  /** Identity under which the daemon announces itself. */
  readonly host: { readonly ip: string; readonly hostname: string };
}

/** The task is known; sent at most once, before any progress. */
export interface StartedMessage {
  readonly type: 'started';
  readonly taskId: string;
  readonly peerId: string;
  /** Bytes of what was asked for (the range, when there is one); null while the source has not told. */
  readonly contentLength: number | null;
  /** Address under which the daemon announces itself; shown by dfget. */
  readonly hostIp?: string;
}

/** Bytes by origin. Their sum is `completedLength`. */
export interface LightTraffic {
  readonly fromSource: number;
  readonly fromPeers: number;
  readonly fromSeed: number;
  readonly fromLocal: number;
}

/** How far the download is; at most {@link MAX_PROGRESS_PER_SECOND} per second, dropped for a client that does not read. */
export interface ProgressMessage extends LightTraffic {
  readonly type: 'progress';
  readonly completedLength: number;
  readonly contentLength: number | null;
}

/**
 * How the output came to be: `linked` hard link, `reflinked` copy-on-write clone, `copied`, `kept` (the output was this
 * very content already), `stored` (no output asked for).
 */
export type LightOutcome = 'linked' | 'reflinked' | 'copied' | 'kept' | 'stored';

/** Last message of a download that succeeded: the output is complete, checked and visible. */
export interface DoneMessage {
  readonly type: 'done';
  readonly outcome: LightOutcome;
  readonly contentLength: number;
  readonly taskId: string;
  readonly traffic: LightTraffic;
}

/** Last message of anything that failed. */
export interface ErrorMessage {
  readonly type: 'error';
  /** An ErrorCode of `@dragonfly/errors`; unknown words are read as `internal`. */
  readonly code: string;
  readonly message: string;
  /** Origin errors carry `statusCode` and `headers` here. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Everything a daemon may send. */
export type DaemonMessage = HelloMessage | StartedMessage | ProgressMessage | DoneMessage | ErrorMessage;
