/** Largest request a server takes. Requests carry no piece bytes; the largest are candidate lists and certificates. */
export const DEFAULT_MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** Largest answer a client takes: a piece of 64 MiB inside a message (`need_piece_content`), doubled for head-room. */
export const DEFAULT_MAX_RESPONSE_BYTES = 128 * 1024 * 1024;

/** Requests and new streams a second before a server answers RESOURCE_EXHAUSTED; also the burst. Today's default. */
export const DEFAULT_REQUEST_RATE_LIMIT = 4000;

/** Streams one connection may have open: a daemon keeps one per running task. */
export const MAX_CONCURRENT_STREAMS = 16_384;

/** A connection is pinged after this silence, so that the streams of a vanished peer end. Clients ping by the same figure. */
export const KEEPALIVE_INTERVAL_MS = 300_000;
export const KEEPALIVE_TIMEOUT_MS = 20_000;

/** grpc-js would wait up to two minutes before it tries a server again. */
export const RECONNECT_INITIAL_MS = 500;
export const RECONNECT_MAX_MS = 10_000;

/** Longest status text sent: it travels in a header, and headers are bounded by every HTTP/2 implementation. */
export const MAX_STATUS_TEXT_LENGTH = 4096;

/** Most bytes of `grpc-status-details-bin`, for the same reason. */
export const MAX_STATUS_DETAILS_BYTES = 8192;
