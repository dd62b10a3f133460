import { DfError } from '@dragonfly/errors';
import { pieceLengthFor } from '@dragonfly/ids';
import { MAX_PIECES_PER_TASK, type PieceStore, type StoredTask } from '@dragonfly/piece-store';
import type { SourceInfo, SourceRegistry } from '@dragonfly/sources';
import { sourceAccessOf, UNKNOWN_LENGTH_PIECE_BYTES } from '../source/source-plan.js';
import type { DownloadRequest } from './download-request.js';

/** A task in the store that a download can work on. */
export interface PreparedTask {
  readonly task: StoredTask;
  /** What the origin said just now; absent when the store knew enough. */
  readonly info?: SourceInfo;
}

/**
 * Finds or makes the task of a request. A task whose lengths are known is used as it is, without a word to the origin;
 * otherwise the origin is asked once, without its body.
 * @throws DfError `origin` with the origin's answer, `unavailable`, `no-space` before anything is fetched
 */
export async function prepareTask(
  store: PieceStore,
  sources: SourceRegistry,
  request: DownloadRequest,
  signal: AbortSignal,
): Promise<PreparedTask> {
  const known = await verified(store, request, signal);
  if (known !== undefined && known.contentLengthBytes !== undefined && known.failure === undefined) {
    known.touch();
    return { task: known };
  }
  const access = sourceAccessOf(sources.get(request.url), request);
  const info = await access.backend.stat({ ...access.request, signal });
  if (known !== undefined && !isSameContent(known, info)) await store.delete(request.kind, request.taskId);
  const task = await store.getOrCreate(request.kind, request.taskId, {
    pieceLengthBytes: pieceLengthOf(request, info),
    ...(info.contentLengthBytes === undefined ? {} : { contentLengthBytes: info.contentLengthBytes }),
    url: request.url,
    ...(request.download.tag ? { tag: request.download.tag } : {}),
    ...(request.download.application ? { application: request.download.application } : {}),
    ...(request.download.digest ? { digest: request.download.digest } : {}),
    filteredQueryParams: request.download.filteredQueryParams,
    responseHeader: responseHeaderOf(info),
  });
  await task.ensureVerified(signal);
  await task.resume();
  return { task, info };
}

/**
 * The task in the store, if it has one with content. Pieces that an unclean stop left in doubt are looked at before they
 * count; a task whose content somebody has removed is forgotten.
 */
async function verified(
  store: PieceStore,
  { kind, taskId }: DownloadRequest,
  signal: AbortSignal,
): Promise<StoredTask | undefined> {
  const task = store.get(kind, taskId);
  try {
    await task?.ensureVerified(signal);
    return task;
  } catch (error) {
    if (signal.aborted || task === undefined || (await task.hasContent())) throw error;
    await store.delete(kind, taskId);
    return undefined;
  }
}

function pieceLengthOf(request: DownloadRequest, info: SourceInfo): number {
  if (request.pieceLengthBytes !== undefined) return request.pieceLengthBytes;
  const { contentLengthBytes } = info;
  if (contentLengthBytes === undefined) return UNKNOWN_LENGTH_PIECE_BYTES;
  const pieceLengthBytes = pieceLengthFor(contentLengthBytes);
  // With the longest piece there is: not what the caller asked for is wrong, but what the source tells.
  if (contentLengthBytes > pieceLengthBytes * MAX_PIECES_PER_TASK) {
    throw new DfError('origin', `the source tells a length of ${contentLengthBytes} bytes, which nothing can hold`, {
      details: { statusCode: info.statusCode, headers: info.headers },
    });
  }
  return pieceLengthBytes;
}

/** Whether pieces in the store can be part of what the origin has now. */
function isSameContent(task: StoredTask, info: SourceInfo): boolean {
  const stored = task.meta.responseHeader;
  const isSame = (before: string | undefined, now: string | undefined): boolean =>
    before === undefined || now === undefined || before === now;
  return (
    isSame(stored['etag'], info.etag) &&
    isSame(stored['last-modified'], info.lastModified) &&
    (task.contentLengthBytes === undefined || task.contentLengthBytes === info.contentLengthBytes) &&
    // An unknown length stays unknown until the end; one that became known belongs to another piece length.
    (task.contentLengthBytes !== undefined || info.contentLengthBytes === undefined)
  );
}

/**
 * Not of the content but of one requester (a session that the next one must not get) or of one connection; a
 * Content-Range is that of the first byte, which was asked for to learn the length.
 */
const NOT_OF_THE_CONTENT = [
  'set-cookie',
  'set-cookie2',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-range',
];

/** The headers of the whole content: those of a ranged stat describe one byte. */
function responseHeaderOf(info: SourceInfo): Record<string, string> {
  const headers = Object.fromEntries(Object.entries(info.headers).map(([name, value]) => [name.toLowerCase(), value]));
  for (const name of NOT_OF_THE_CONTENT) delete headers[name];
  if (info.contentLengthBytes === undefined) delete headers['content-length'];
  else headers['content-length'] = String(info.contentLengthBytes);
  return headers;
}

/** A task that failed for everybody is marked, so that the next request asks the origin again. */
export async function markFailed(task: StoredTask, error: DfError): Promise<void> {
  if (task.isDeleted || task.isComplete) return;
  await task.fail(error);
}
