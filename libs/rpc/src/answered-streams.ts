import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type ServerHttp2Stream } from 'node:http2';

/*
 * A server may end a call while its caller still has its own half open: AnnouncePeer ends so after the last report. Go
 * servers then send RST_STREAM(NO_ERROR) behind the trailers (RFC 9113, 8.1), and daemons written in Rust wait for just
 * that: without it a download whose bytes are all there never ends. grpc-js leaves such a stream half open.
 *
 * The frame must not be handed to nghttp2 before the trailers are on their way: it would overtake and discard them. The
 * state of the stream tells when they are.
 */

const STREAM_CREATED_CHANNEL = 'http2.server.stream.created';

/** Turns of the event loop to wait for the trailers to be written; one is usual, more mean a connection that is stuck. */
const MAX_TURNS = 100;

/** Servers that want it; the channel is one for the whole process. */
let servers = 0;

/**
 * From now on every HTTP/2 server of the process closes a stream completely once its answer is complete.
 * @returns takes it back; the last of several to do so ends it
 */
export function closeAnsweredStreams(): () => void {
  if (servers++ === 0) subscribe(STREAM_CREATED_CHANNEL, watchStream);
  let isUndone = false;
  return () => {
    if (isUndone) return;
    isUndone = true;
    if (--servers === 0) unsubscribe(STREAM_CREATED_CHANNEL, watchStream);
  };
}

function watchStream(message: unknown): void {
  const { stream } = message as { stream: ServerHttp2Stream };
  stream.once('finish', () => closeWhenAnswered(stream, MAX_TURNS));
}

function closeWhenAnswered(stream: ServerHttp2Stream, turnsLeft: number): void {
  if (stream.destroyed || stream.closed) return;
  // The caller has closed its half: nothing to do, nghttp2 closes the stream itself.
  if (stream.state.remoteClose === 1 || turnsLeft === 0) return;
  if (stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
  else setImmediate(closeWhenAnswered, stream, turnsLeft - 1);
}
