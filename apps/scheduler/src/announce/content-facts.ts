import { DfError } from '@dragonfly/errors';
import { asTaskId, IdError, parseDigest } from '@dragonfly/ids';
import type { commonV2 } from '@dragonfly/proto';
import type { Task, VolatileTaskKind } from '@dragonfly/scheduling';
import type { SchedulerState } from '../scheduler-state.js';
import { UNKNOWN_CONTENT_LENGTH } from '../wire/wire-records.js';

/** What a registration says about the content of its task. */
interface ContentFacts {
  /** `undefined` when the peer does not know it. */
  readonly lengthBytes: number | undefined;
  readonly pieceLengthBytes: number;
  readonly pieceCount: number;
}

/**
 * The task that a registration names, made or brought up to date.
 *
 * @throws DfError `invalid-argument` for a digest that is none, or a length beyond 2^53
 */
export function taskOf(
  state: SchedulerState,
  taskId: string,
  download: commonV2.Download,
  kind: VolatileTaskKind,
): Task {
  const digest = download.digest ?? '';
  if (digest !== '') assertDigest(digest);
  const content = contentFactsOf(download);
  const nowMs = state.clock.nowMs();
  const facts = {
    url: download.url,
    tag: download.tag ?? '',
    application: download.application ?? '',
    digest,
    filteredQueryParams: download.filteredQueryParams,
    requestHeader: download.requestHeader,
  };
  const task = state.resources.getOrCreateTask(asTaskId(taskId), facts, nowMs, kind);
  task.facts = {
    ...task.facts,
    url: facts.url,
    filteredQueryParams: facts.filteredQueryParams,
    requestHeader: facts.requestHeader,
  };
  task.updatedAtMs = nowMs;
  adoptContent(state, task, content);
  return task;
}

/**
 * Takes over the lengths of a registration: when the task has none yet, or when nobody has, or is fetching, the content
 * they would contradict. The original never corrects the first ones.
 */
function adoptContent(state: SchedulerState, task: Task, content: ContentFacts): void {
  const isNew = task.contentLengthBytes === undefined;
  if (isNew ? content.lengthBytes === undefined && task.pieceLengthBytes > 0 : hasContent(state, task)) return;
  if (
    task.contentLengthBytes === content.lengthBytes &&
    task.pieceCount === content.pieceCount &&
    task.pieceLengthBytes === content.pieceLengthBytes
  ) {
    return;
  }
  if (!isNew) task.forgetContent();
  task.contentLengthBytes = content.lengthBytes;
  task.pieceCount = content.pieceCount;
  task.pieceLengthBytes = content.pieceLengthBytes;
  state.scheduler.contentChanged(task);
}

function hasContent(state: SchedulerState, task: Task): boolean {
  return task.offerable.length > 0 || state.scheduler.leaseOf(task) !== undefined || task.backToSourcePeers.size > 0;
}

function contentFactsOf(download: commonV2.Download): ContentFacts {
  const length = download.actualContentLength;
  const pieceLengthBytes = safeNumber(download.actualPieceLength ?? 0n, 'actual_piece_length');
  if (length === undefined || length === UNKNOWN_CONTENT_LENGTH) {
    return { lengthBytes: undefined, pieceLengthBytes, pieceCount: 0 };
  }
  return {
    lengthBytes: safeNumber(length, 'actual_content_length'),
    pieceLengthBytes,
    pieceCount: safeNumber(download.actualPieceCount ?? 0n, 'actual_piece_count'),
  };
}

function safeNumber(value: bigint, field: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new DfError('invalid-argument', `download.${field}: must be at most 2^53 - 1, not ${value}`);
  }
  return Number(value);
}

function assertDigest(text: string): void {
  try {
    parseDigest(text);
  } catch (error) {
    if (error instanceof IdError) throw new DfError('invalid-argument', `download.digest: ${error.message}`);
    throw error;
  }
}
