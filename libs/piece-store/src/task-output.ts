import { stat } from 'node:fs/promises';
import { DfError } from '@dragonfly/errors';
import type { ContentGuard } from './content-guard.js';
import type { FileCloner } from './file-cloner.js';
import { ifPresent } from './file-io.js';
import type { Journal } from './journal.js';
import { placeOutput, type OutputOptions, type OutputOutcome } from './output.js';
import type { TaskState } from './task-state.js';

export interface TaskOutputOptions {
  readonly state: TaskState;
  readonly contentPath: string;
  readonly journal: Journal;
  readonly guard: ContentGuard;
  readonly cloner: FileCloner;
}

/** Gives stored content out, and remembers what it looked like when a hard link went out. */
export class TaskOutput {
  readonly #options: TaskOutputOptions;

  constructor(options: TaskOutputOptions) {
    this.#options = options;
  }

  /** @throws DfError `failed-precondition` when the content, or the range, is not all there */
  ensureReady(range: OutputOptions['range']): void {
    const { state } = this.#options;
    if (range === undefined) {
      if (state.isComplete) return;
      throw this.#error('failed-precondition', 'is not complete');
    }
    const end = range.startBytes + range.lengthBytes;
    if (range.startBytes < 0 || range.lengthBytes < 0 || end > (state.contentLengthBytes ?? Infinity)) {
      throw this.#error('invalid-argument', `has no bytes ${range.startBytes}-${end - 1}`);
    }
    const pieceLength = state.meta.pieceLengthBytes;
    for (let number = Math.floor(range.startBytes / pieceLength); number * pieceLength < end; number += 1) {
      if (!state.table.has(number)) throw this.#error('failed-precondition', `piece ${number} is missing`);
    }
  }

  /** Whether the content is where the store has put it; somebody may have removed it. */
  async hasContent(): Promise<boolean> {
    return (await ifPresent(stat(this.#options.contentPath))) !== undefined;
  }

  async linkTo(target: string, options: OutputOptions): Promise<OutputOutcome> {
    const { state, contentPath, journal, guard, cloner } = this.#options;
    this.ensureReady(options.range);
    const droppedPieces = await guard.admitAll(options.signal);
    if (droppedPieces.length > 0) {
      throw new DfError('data-loss', `task ${state.id}: ${droppedPieces.length} damaged pieces were dropped`, {
        details: { taskId: state.id, droppedPieces },
        retryable: true,
      });
    }
    // With an older link somebody may be writing just now: the time that was checked counts, not the time it is.
    const content = state.linkStamp ?? (await contentStamp(contentPath));
    const outcome = await placeOutput(contentPath, target, options, cloner);
    if (outcome === 'linked') {
      const { ctimeNs, nlink } = await stat(contentPath, { bigint: true });
      state.linkStamp = { sizeBytes: content.sizeBytes, mtimeNs: content.mtimeNs, ctimeNs };
      state.linkCount = nlink;
      await journal.append({ type: 'linked', stamp: state.linkStamp });
    }
    return outcome;
  }

  #error(code: 'failed-precondition' | 'invalid-argument', text: string): DfError {
    const { id } = this.#options.state;
    return new DfError(code, `task ${id}: ${text}`, { details: { taskId: id } });
  }
}

async function contentStamp(path: string): Promise<{ sizeBytes: bigint; mtimeNs: bigint; ctimeNs: bigint }> {
  const { size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return { sizeBytes: size, mtimeNs, ctimeNs };
}
