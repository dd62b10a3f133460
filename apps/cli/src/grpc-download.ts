import { stat, writeFile, type FileHandle } from 'node:fs/promises';
import { credentials, Metadata, type ClientReadableStream } from '@grpc/grpc-js';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { DEFAULT_FILTERED_QUERY_PARAMS } from '@dragonfly/ids';
import { commonV2, dfdaemonV2, msToDuration } from '@dragonfly/proto';
import type { TraceCarrier } from '@dragonfly/telemetry/spans';
import type { DownloadObserver, DownloadResult } from './download-result.js';
import type { DownloadOptions } from './options.js';
import { checkDigest } from './output-digest.js';
import { PendingOutput } from './output-file.js';
import { RateBrake } from './rate-brake.js';

/** Longest message taken from the daemon: a piece with its content, and pieces may be chosen long. */
const MAX_MESSAGE_BYTES = 512 * 1024 * 1024;
/** A daemon may be silent for long while the source is slow; its HTTP/2 answers all the same. */
const KEEPALIVE_INTERVAL_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Digests every daemon checks itself; others are checked here. */
const DAEMON_DIGEST = /^(?:sha256|sha512|crc32):/;

/** Who asks, as the daemon is told. */
export interface GrpcCaller {
  readonly localIp: string;
  /** W3C trace context; goes into the metadata of the call. */
  readonly trace?: TraceCarrier | undefined;
}

/**
 * Downloads by the gRPC service every Dragonfly daemon has.
 *
 * The daemon (or, with `--transfer-from-dfdaemon`, dfget) writes a file beside the output, which becomes the output when
 * it is complete and checked: some daemons show their output while it grows.
 * @throws DfError; `origin` with the origin's answer in its details
 */
export async function downloadByGrpc(
  grpcPath: string,
  options: DownloadOptions,
  { localIp, trace }: GrpcCaller,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<DownloadResult> {
  // A daemon writes no output for a range, and the original one does not know all digests.
  const isTransfer = options.transferFromDfdaemon || options.range !== undefined;
  const pending = PendingOutput.beside(options);
  const client = new dfdaemonV2.DfdaemonDownloadClient(`unix:${grpcPath}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    // A daemon that is there but does nothing any more is found out; Dragonfly's daemons do not count pings.
    'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    // A proxy of the environment is for the network, not for a socket.
    'grpc.enable_http_proxy': 0,
  });
  let file: FileHandle | undefined;
  try {
    if (isTransfer) file = await pending.open();
    const request = grpcRequest(options, isTransfer ? undefined : pending.temporaryPath, localIp);
    const callOptions = options.timeoutMs > 0 ? { deadline: Date.now() + options.timeoutMs } : {};
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(trace ?? {})) metadata.set(name, value);
    const stream = client.downloadTask({ download: request }, metadata, callOptions);
    const abort = (): void => stream.cancel();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    const reception = new Reception(options, file, observer, signal);
    try {
      await reception.run(stream);
    } finally {
      signal.removeEventListener('abort', abort);
      stream.cancel();
    }
    await file?.close();
    file = undefined;
    const result = await reception.result(pending.temporaryPath, isTransfer);
    const isCheckedHere = isTransfer || !DAEMON_DIGEST.test(options.digest ?? '');
    if (options.digest !== undefined && isCheckedHere) await checkDigest(pending.temporaryPath, options.digest, signal);
    await pending.commit();
    return result;
  } catch (error) {
    // What the gRPC library throws has a number as its code, what the file system throws a word.
    throw isErrnoException(error) && !signal.aborted ? pending.explain(error) : grpcFailure(error, signal);
  } finally {
    await file?.close();
    await pending.discard();
    client.close();
  }
}

/** The request of a command line. */
export function grpcRequest(
  options: DownloadOptions,
  outputPath: string | undefined,
  localIp: string,
): commonV2.Download {
  return commonV2.Download.fromPartial({
    url: options.url,
    digest: outputPath !== undefined && DAEMON_DIGEST.test(options.digest ?? '') ? options.digest : undefined,
    range:
      options.range === undefined
        ? undefined
        : { start: BigInt(options.range.start), length: BigInt(options.range.length) },
    type: commonV2.TaskType.STANDARD,
    tag: options.tag,
    application: options.application,
    priority: options.priority,
    filteredQueryParams: [...(options.filteredQueryParams ?? DEFAULT_FILTERED_QUERY_PARAMS)],
    requestHeader: options.headers,
    pieceLength: options.pieceLengthBytes === undefined ? undefined : BigInt(options.pieceLengthBytes),
    outputPath,
    timeout: options.timeoutMs > 0 ? msToDuration(options.timeoutMs) : undefined,
    disableBackToSource: options.disableBackToSource,
    needPieceContent: outputPath === undefined,
    forceHardLink: options.forceHardLink,
    contentForCalculatingTaskId: options.contentForCalculatingTaskId,
    remoteIp: localIp,
    schedulingPolicy:
      options.schedulingPolicy === 'always' ? commonV2.SchedulingPolicy.ALWAYS : commonV2.SchedulingPolicy.AUTO,
  });
}

/** What has come of one download. */
class Reception {
  readonly #missingPieces = new Set<number>();
  readonly #traffic = { fromSource: 0, fromPeers: 0, fromSeed: 0, fromLocal: 0 };
  readonly #brake: RateBrake;
  #isStarted = false;
  #taskId = '';
  #peerId = '';
  /** Of the output; null: not known. */
  #expectedBytes: number | null = null;
  #completedBytes = 0;

  constructor(
    private readonly options: DownloadOptions,
    private readonly file: FileHandle | undefined,
    private readonly observer: DownloadObserver,
    private readonly signal: AbortSignal,
  ) {
    this.#brake = new RateBrake(file === undefined ? undefined : options.rateLimitBytesPerSecond);
  }

  /** Reads to the end of the stream, one message after the other; the stream waits meanwhile. */
  async run(stream: ClientReadableStream<dfdaemonV2.DownloadTaskResponse>): Promise<void> {
    for await (const message of stream as AsyncIterable<dfdaemonV2.DownloadTaskResponse>) {
      this.#taskId = message.taskId;
      this.#peerId = message.peerId;
      switch (message.response?.$case) {
        case 'downloadTaskStartedResponse':
          this.#start(message.response.value);
          break;
        case 'downloadPieceFinishedResponse':
          if (message.response.value.piece !== undefined) await this.#takePiece(message.response.value.piece);
          break;
        case undefined:
          break;
      }
    }
    if (!this.#isStarted) throw new DfError('internal', 'the daemon ended the download without beginning it');
    if (this.#missingPieces.size > 0) {
      throw new DfError('data-loss', `the daemon ended the download with ${this.#missingPieces.size} pieces missing`);
    }
  }

  /** @param file complete, closed */
  async result(file: string, isTransfer: boolean): Promise<DownloadResult> {
    // A daemon has nothing to write for an empty content.
    if (!isTransfer && this.#expectedBytes === 0) await writeFile(file, '', { flag: 'a' });
    const { size, nlink } = await stat(file).catch((error: unknown) => {
      throw new DfError('not-found', `the daemon's output is not at ${file}`, {
        cause: error,
        details: { errno: 'ENOENT' },
      });
    });
    if (this.#expectedBytes !== null && size !== this.#expectedBytes) {
      throw new DfError('data-loss', `the daemon told ${this.#expectedBytes} bytes, ${size} came`);
    }
    return {
      outcome: isTransfer ? 'transferred' : nlink > 1 ? 'linked' : 'copied',
      contentLengthBytes: size,
      taskId: this.#taskId,
      peerId: this.#peerId,
      traffic: this.#traffic,
    };
  }

  #start(started: dfdaemonV2.DownloadTaskStartedResponse): void {
    this.#isStarted = true;
    for (const piece of started.pieces) this.#missingPieces.add(piece.number);
    this.#expectedBytes = this.#outputBytes(started.contentLength);
    this.observer.onProgress(0, this.#expectedBytes);
  }

  /** @param contentLength of the whole task; beyond 2^53 it is the word for "not known" */
  #outputBytes(contentLength: bigint): number | null {
    if (contentLength > BigInt(Number.MAX_SAFE_INTEGER)) return null;
    const { range } = this.options;
    if (range === undefined) return Number(contentLength);
    return Math.max(0, Math.min(range.length, Number(contentLength) - range.start));
  }

  async #takePiece(piece: commonV2.Piece): Promise<void> {
    const from = Math.max(Number(piece.offset), this.options.range?.start ?? 0);
    const rangeEnd = this.options.range === undefined ? Infinity : this.options.range.start + this.options.range.length;
    const lengthBytes = Math.max(0, Math.min(Number(piece.offset + piece.length), rangeEnd) - from);
    if (this.file !== undefined && lengthBytes > 0) await this.#write(this.file, piece, from, lengthBytes);
    this.#missingPieces.delete(piece.number);
    this.#completedBytes += lengthBytes;
    this.#count(piece, lengthBytes);
    this.observer.onProgress(this.#completedBytes, this.#expectedBytes);
    await this.#brake.pass(lengthBytes, this.signal);
  }

  /** @param from offset in the task's content of the first byte for the output */
  async #write(file: FileHandle, piece: commonV2.Piece, from: number, lengthBytes: number): Promise<void> {
    const content = piece.content;
    if (content === undefined) throw new DfError('internal', `the daemon sent piece ${piece.number} without content`);
    // With a range some daemons send the whole piece, others only the part of it that is in the range.
    const isWhole = content.length === Number(piece.length);
    const skip = isWhole ? from - Number(piece.offset) : 0;
    const part = content.subarray(skip, skip + lengthBytes);
    if (part.length !== lengthBytes) {
      throw new DfError('data-loss', `piece ${piece.number} has ${content.length} bytes instead of ${lengthBytes}`);
    }
    const position = from - (this.options.range?.start ?? 0);
    for (let written = 0; written < part.length;) {
      written += (await file.write(part, written, part.length - written, position + written)).bytesWritten;
    }
  }

  #count(piece: commonV2.Piece, lengthBytes: number): void {
    switch (piece.trafficType) {
      case commonV2.TrafficType.LOCAL_PEER:
        this.#traffic.fromLocal += lengthBytes;
        break;
      case commonV2.TrafficType.REMOTE_PEER:
        // The peer id of a seed peer ends like this.
        if (piece.parentId?.endsWith('-seed') === true) this.#traffic.fromSeed += lengthBytes;
        else this.#traffic.fromPeers += lengthBytes;
        break;
      case commonV2.TrafficType.BACK_TO_SOURCE:
      case undefined:
        // Zero is left out on the wire by some daemons.
        this.#traffic.fromSource += lengthBytes;
        break;
    }
  }
}

/**
 * A failed call as a DfError. An origin's answer comes as JSON: in the binary details of the status, where other
 * services put a protobuf message.
 */
function grpcFailure(error: unknown, signal: AbortSignal): DfError {
  if (signal.aborted) return new DfError('cancelled', 'cancelled', { cause: signal.reason });
  const failure = DfError.from(error);
  // Nobody here has cancelled anything: the daemon ended the call, or ended itself.
  if (failure.code === 'cancelled') {
    return new DfError('unavailable', 'the daemon broke the download off', {
      cause: error,
      details: { isConnectionLost: true },
    });
  }
  const answer = originAnswer(statusDetails(error));
  return answer === undefined ? failure : new DfError('origin', answer.message, { cause: error, details: answer });
}

interface OriginAnswer extends Readonly<Record<string, unknown>> {
  readonly message: string;
  readonly statusCode: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Metadata key of the binary details of a status. */
const STATUS_DETAILS_KEY = 'grpc-status-details-bin';

function statusDetails(error: unknown): string {
  const metadata: unknown = Error.isError(error) && 'metadata' in error ? error.metadata : undefined;
  const [details] = metadata instanceof Metadata ? metadata.get(STATUS_DETAILS_KEY) : [];
  return details?.toString() ?? '';
}

function originAnswer(details: string): OriginAnswer | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(details);
  } catch {
    // A protobuf message, or nothing.
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { message, header, status_code: statusCode } = parsed as Record<string, unknown>;
  if (typeof message !== 'string') return undefined;
  return {
    message,
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    headers: typeof header === 'object' && header !== null ? (header as Record<string, unknown>) : {},
  };
}
