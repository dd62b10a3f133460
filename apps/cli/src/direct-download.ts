import type { FileHandle } from 'node:fs/promises';
import { HttpBackend, SourceRegistry, type ProxySettings, type SourceBody } from '@dragonfly/sources';
import { DfError } from '@dragonfly/errors';
import type { DownloadObserver, DownloadResult } from './download-result.js';
import type { DownloadOptions } from './options.js';
import { checkDigest } from './output-digest.js';
import { PendingOutput } from './output-file.js';
import { RateBrake } from './rate-brake.js';

/** Read and written at a time: big enough that system calls do not matter, small enough for a smooth rate limit. */
const BUFFER_BYTES = 512 * 1024;
/** Share of a second that one read may take at a limited rate, so that the limit is even. */
const READS_PER_SECOND = 20;
const MIN_READ_BYTES = 4 * 1024;

/**
 * Fetches from the source without any daemon: one stream into a file beside the output, checked, then renamed.
 * @throws DfError; the output is untouched then
 */
export async function downloadDirectly(
  options: DownloadOptions,
  env: NodeJS.ProcessEnv,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<DownloadResult> {
  const sources = new SourceRegistry();
  sources.register(new HttpBackend({ proxy: proxyOf(env) }));
  const pending = PendingOutput.beside(options);
  try {
    const contentLengthBytes = await receive(sources, pending, options, observer, signal);
    if (options.digest !== undefined) await checkDigest(pending.temporaryPath, options.digest, signal);
    signal.throwIfAborted();
    await pending.commit();
    return {
      outcome: 'direct',
      contentLengthBytes,
      taskId: '',
      peerId: '',
      traffic: { fromSource: contentLengthBytes, fromPeers: 0, fromSeed: 0, fromLocal: 0 },
    };
  } catch (error) {
    throw signal.aborted ? new DfError('cancelled', 'cancelled', { cause: signal.reason }) : pending.explain(error);
  } finally {
    await pending.discard();
    await sources.close();
  }
}

/** The variables every command line tool reads, lower case first as curl does. */
function proxyOf(env: NodeJS.ProcessEnv): ProxySettings {
  return {
    // HTTP_PROXY in upper case can be set by a request header where a CGI server runs us; curl ignores it, so do we.
    httpProxy: env['http_proxy'],
    httpsProxy: env['https_proxy'] ?? env['HTTPS_PROXY'],
    noProxy: env['no_proxy'] ?? env['NO_PROXY'],
  };
}

/** @returns bytes of the output */
async function receive(
  sources: SourceRegistry,
  pending: PendingOutput,
  options: DownloadOptions,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<number> {
  const { range } = options;
  const body = await sources.get(options.url).read({
    url: options.url,
    headers: options.headers,
    signal,
    range: range === undefined ? undefined : { startBytes: range.start, lengthBytes: range.length },
  });
  let file: FileHandle | undefined;
  try {
    file = await pending.open();
    const window = outputWindow(body, options);
    observer.onProgress(0, window.lengthBytes);
    const writtenBytes = await copy(body, file, window, options, observer, signal);
    if (window.lengthBytes !== null && writtenBytes !== window.lengthBytes) {
      throw new DfError('origin', `the source ended after ${writtenBytes} of ${window.lengthBytes} bytes`);
    }
    return writtenBytes;
  } finally {
    body.cancel();
    await file?.close();
  }
}

/** Which bytes of a body are for the output. */
interface OutputWindow {
  /** Bytes before it, passed over. */
  readonly skipBytes: number;
  /** Null: up to the end of the body. */
  readonly lengthBytes: number | null;
}

function outputWindow(body: SourceBody, options: DownloadOptions): OutputWindow {
  const { range } = options;
  if (range === undefined || body.isPartial) return { skipBytes: 0, lengthBytes: body.contentLengthBytes ?? null };
  // The source has no ranges: everything comes, and the part is cut out here.
  if (body.contentLengthBytes === undefined) return { skipBytes: range.start, lengthBytes: null };
  const available = body.contentLengthBytes - range.start;
  if (available <= 0) {
    throw new DfError('origin', `the file has ${body.contentLengthBytes} bytes, the range begins at ${range.start}`, {
      details: { statusCode: 416, headers: {}, message: 'range not satisfiable' },
    });
  }
  return { skipBytes: range.start, lengthBytes: Math.min(range.length, available) };
}

async function copy(
  body: SourceBody,
  file: FileHandle,
  window: OutputWindow,
  options: DownloadOptions,
  observer: DownloadObserver,
  signal: AbortSignal,
): Promise<number> {
  const rate = options.rateLimitBytesPerSecond;
  const readBytes =
    rate === undefined
      ? BUFFER_BYTES
      : Math.min(BUFFER_BYTES, Math.max(MIN_READ_BYTES, Math.floor(rate / READS_PER_SECOND)));
  const buffer = Buffer.allocUnsafe(readBytes);
  const brake = new RateBrake(rate);
  const wantedBytes = window.lengthBytes ?? options.range?.length ?? Infinity;
  let toSkip = window.skipBytes;
  let writtenBytes = 0;
  while (writtenBytes < wantedBytes) {
    const received = await body.readInto(buffer, signal);
    if (received === 0) break;
    const skipped = Math.min(toSkip, received);
    toSkip -= skipped;
    const part = buffer.subarray(skipped, Math.min(received, skipped + wantedBytes - writtenBytes));
    await writeAt(file, part, writtenBytes);
    writtenBytes += part.length;
    observer.onProgress(writtenBytes, window.lengthBytes);
    await brake.pass(received, signal);
  }
  return writtenBytes;
}

async function writeAt(file: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let written = 0; written < data.length;) {
    written += (await file.write(data, written, data.length - written, position + written)).bytesWritten;
  }
}
