import { DfError } from '@dragonfly/errors';
import { ContentAccess, type OpenedPiece } from './content-access.js';
import { ContentGuard } from './content-guard.js';
import { checkContentLength, lengthOfPiece } from './content-length.js';
import type { DescriptorCache } from './descriptor-cache.js';
import { digestOfFile, splitDigest } from './digest.js';
import type { FileCloner } from './file-cloner.js';
import { syncFileData, truncateFile } from './file-io.js';
import { Journal } from './journal.js';
import type { OutputOptions, OutputOutcome } from './output.js';
import { PieceEvents, type TaskEnd } from './piece-events.js';
import { PieceWriter, type PieceWriterHost } from './piece-writer.js';
import { TaskOutput } from './task-output.js';
import { taskError } from './task-error.js';
import { snapshotRecords, type TaskState } from './task-state.js';
import type { PieceCommit, PieceRecord, StoreLog, SyncPolicy, TaskFailure, TaskKind, TaskMeta } from './task-types.js';
import { WriteTurns } from './write-turns.js';

/** Reading a task often costs one journal record in this time, not one each. */
const TOUCH_INTERVAL_MS = 60_000;

export type PieceState = 'absent' | 'in-progress' | 'present';

export interface StoredTaskOptions {
  readonly state: TaskState;
  readonly contentPath: string;
  readonly journalPath: string;
  readonly journalSizeBytes: number;
  readonly descriptors: DescriptorCache;
  readonly cloner: FileCloner;
  readonly syncPolicy: SyncPolicy;
  readonly bootId: string;
  readonly log: StoreLog;
  readonly nowMs: () => number;
}

/**
 * One task: its content file, its journal and who is waiting for what. The single owner of the task's state; made by
 * `PieceStore`.
 */
export class StoredTask {
  readonly #options: StoredTaskOptions;
  readonly #state: TaskState;
  readonly #journal: Journal;
  readonly #guard: ContentGuard;
  readonly #content: ContentAccess;
  readonly #output: TaskOutput;
  readonly #writerHost: PieceWriterHost;
  readonly #writers = new Map<number, PieceWriter>();
  readonly #events = new PieceEvents();
  #pins = 0;
  #isDeleted = false;
  #touchJournalledAtMs: number;

  constructor(options: StoredTaskOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#touchJournalledAtMs = options.state.updatedAtMs;
    this.#journal = new Journal({
      path: options.journalPath,
      sizeBytes: options.journalSizeBytes,
      descriptors: options.descriptors,
      syncPolicy: options.syncPolicy,
      bootId: options.bootId,
      lastBootId: options.state.lastBootId,
      syncContent: () => this.#content.use((fd) => syncFileData(fd)),
      snapshot: () => snapshotRecords(this.#state, options.bootId),
    });
    this.#guard = new ContentGuard({
      state: this.#state,
      contentPath: options.contentPath,
      descriptors: options.descriptors,
      journal: this.#journal,
      log: options.log,
    });
    this.#content = new ContentAccess({
      state: this.#state,
      contentPath: options.contentPath,
      descriptors: options.descriptors,
      guard: this.#guard,
      ensureAlive: () => this.#ensureAlive(),
    });
    this.#output = new TaskOutput({
      state: this.#state,
      contentPath: options.contentPath,
      journal: this.#journal,
      guard: this.#guard,
      cloner: options.cloner,
    });
    this.#writerHost = {
      contentPath: options.contentPath,
      descriptors: options.descriptors,
      turns: new WriteTurns(),
      ensureWritable: () => this.#ensureWritable(),
      finishPiece: (number, commit) => this.#finishPiece(number, commit),
      releasePiece: (number) => this.#releasePiece(number),
    };
  }

  get kind(): TaskKind {
    return this.#state.kind;
  }

  get id(): string {
    return this.#state.id;
  }

  get meta(): TaskMeta {
    return this.#state.meta;
  }

  get pieceLengthBytes(): number {
    return this.#state.meta.pieceLengthBytes;
  }

  /** Undefined while unknown. */
  get contentLengthBytes(): number | undefined {
    return this.#state.contentLengthBytes;
  }

  /** Undefined while the content length is unknown. */
  get pieceCount(): number | undefined {
    const length = this.#state.contentLengthBytes;
    return length === undefined ? undefined : Math.ceil(length / this.pieceLengthBytes);
  }

  /** All pieces are present and `complete` was called. */
  get isComplete(): boolean {
    return this.#state.isComplete;
  }

  get failure(): TaskFailure | undefined {
    return this.#state.failure;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** Last start, finish, failure or `touch`; what eviction goes by. */
  get updatedAtMs(): number {
    return this.#state.updatedAtMs;
  }

  get finishedPieceCount(): number {
    return this.#state.table.count;
  }

  get completedBytes(): number {
    return this.#state.table.totalBytes;
  }

  /** What the task takes of the disk, in bytes of content and journal. */
  get storedBytes(): number {
    return this.completedBytes + this.#journal.sizeBytes;
  }

  /** Somebody reads, writes or has pinned it: it is not evicted. */
  get isInUse(): boolean {
    return this.#content.isInUse || this.#pins > 0 || this.#writers.size > 0;
  }

  /** Finished pieces, ascending. */
  *pieces(): IterableIterator<PieceRecord> {
    for (const number of this.#state.table.numbers()) {
      const piece = this.#state.table.get(number);
      if (piece !== undefined) yield piece;
    }
  }

  piece(number: number): PieceRecord | undefined {
    return this.#state.table.get(number);
  }

  pieceState(number: number): PieceState {
    if (this.#state.table.has(number)) return 'present';
    return this.#writers.has(number) ? 'in-progress' : 'absent';
  }

  /** @throws DfError `failed-precondition` while the content length is unknown */
  missingPieces(): number[] {
    const count = this.pieceCount;
    if (count === undefined) throw this.#error('failed-precondition', 'its length is not known yet');
    const missing: number[] = [];
    for (let number = 0; number < count; number += 1) if (!this.#state.table.has(number)) missing.push(number);
    return missing;
  }

  /**
   * Takes the right to write a piece, unless it is there or somebody else has it.
   * @throws DfError `invalid-argument` for a number outside the content, `not-found` when the task is deleted,
   *   `failed-precondition` when it has failed and was not resumed
   */
  beginPiece(number: number): PieceWriter | 'present' | 'in-progress' {
    this.#ensureWritable();
    const maxLengthBytes = this.#lengthOfPiece(number);
    const state = this.pieceState(number);
    if (state !== 'absent') return state;
    const writer = new PieceWriter({
      host: this.#writerHost,
      number,
      fileOffset: number * this.pieceLengthBytes,
      maxLengthBytes,
    });
    this.#writers.set(number, writer);
    return writer;
  }

  /**
   * Waits until the piece is present. Does not take part in getting it: for pieces that are `in-progress`, or that
   * somebody is going to begin.
   * @throws DfError `unavailable` when the piece's writer gave it up: it is free to begin; `not-found` when the task is
   *   deleted, completed or failed without it; `cancelled` / `deadline-exceeded` by the signal
   */
  waitForPiece(number: number, signal?: AbortSignal): Promise<PieceRecord> {
    const present = this.piece(number);
    if (present !== undefined) return Promise.resolve(present);
    if (this.#isDeleted || this.isComplete || this.failure !== undefined) {
      return Promise.reject(this.#error('not-found', `piece ${number} is not there and will not come`));
    }
    return this.#events.wait(number, signal);
  }

  /** @returns how to stop listening */
  onPieceFinished(listener: (piece: PieceRecord) => void): () => void {
    return this.#events.onPieceFinished(listener);
  }

  /** Called at every `complete`, `fail` and at deletion. @returns how to stop listening */
  onEnd(listener: (end: TaskEnd) => void): () => void {
    return this.#events.onEnd(listener);
  }

  /**
   * Opens a piece for sending. A suspect piece (see `ContentGuard`) is checked first.
   * @throws DfError `not-found` when it is absent, or was found to be wrong and dropped just now
   */
  openForRead(number: number, signal?: AbortSignal): Promise<OpenedPiece> {
    return this.#content.openPiece(number, signal);
  }

  /**
   * Checks all suspect pieces now. Cheap when there are none.
   * @returns the numbers of those that were wrong; they are absent now
   */
  ensureVerified(signal?: AbortSignal): Promise<number[]> {
    return this.#content.use(() => this.#guard.admitAll(signal));
  }

  /**
   * Tells the length of a content that began without one.
   * @throws DfError `invalid-argument` when finished pieces do not fit it, `already-exists` when it is another already
   */
  async setContentLength(contentLengthBytes: number): Promise<void> {
    this.#ensureWritable();
    checkContentLength(contentLengthBytes, this.pieceLengthBytes);
    if (this.contentLengthBytes === contentLengthBytes) return;
    if (this.contentLengthBytes !== undefined) {
      throw this.#error('already-exists', `its length is ${this.contentLengthBytes}, not ${contentLengthBytes}`);
    }
    for (const number of this.#state.table.numbers()) {
      const expected = lengthOfPiece(number, this.pieceLengthBytes, contentLengthBytes);
      if (this.#state.table.lengthOf(number) === expected) continue;
      throw this.#error('invalid-argument', `piece ${number} does not fit a length of ${contentLengthBytes}`);
    }
    await this.#content.use((fd) => truncateFile(fd, contentLengthBytes));
    await this.#journal.append({ type: 'content-length', contentLengthBytes });
    this.#state.contentLengthBytes = contentLengthBytes;
  }

  async setResponseHeader(header: Readonly<Record<string, string>>): Promise<void> {
    this.#ensureAlive();
    await this.#journal.append({ type: 'response-header', header });
    this.#state.meta = { ...this.#state.meta, responseHeader: header };
  }

  /** @throws DfError `failed-precondition` when the length is unknown or a piece is missing */
  async complete(): Promise<void> {
    this.#ensureWritable();
    if (this.isComplete) return;
    if (this.finishedPieceCount !== this.pieceCount) {
      throw this.#error(
        'failed-precondition',
        `${this.finishedPieceCount} of ${this.pieceCount ?? 'unknown'} pieces are there`,
      );
    }
    const atMs = this.#options.nowMs();
    await this.#journal.append({ type: 'complete', atMs });
    this.#state.isComplete = true;
    this.#state.updatedAtMs = atMs;
    this.#end('complete');
  }

  /** Marks the task failed; finished pieces stay, waiters are told. `resume` clears it. */
  async fail(error: unknown): Promise<void> {
    this.#ensureAlive();
    const failure = { message: DfError.from(error).message.slice(0, 4096), atMs: this.#options.nowMs() };
    this.#state.failure = failure;
    this.#state.updatedAtMs = failure.atMs;
    this.#end('failed');
    await this.#journal.append({ type: 'failed', ...failure });
  }

  /** A new attempt begins: clears a failure. */
  async resume(): Promise<void> {
    this.#ensureAlive();
    if (this.failure === undefined) {
      this.touch();
      return;
    }
    const atMs = this.#options.nowMs();
    this.#state.failure = undefined;
    this.#state.updatedAtMs = atMs;
    await this.#journal.append({ type: 'resumed', atMs });
  }

  /** Counts as use: eviction takes other tasks first. */
  touch(): void {
    if (this.#isDeleted) return;
    const atMs = this.#options.nowMs();
    this.#state.updatedAtMs = atMs;
    if (atMs - this.#touchJournalledAtMs < TOUCH_INTERVAL_MS) return;
    this.#touchJournalledAtMs = atMs;
    this.#journal.append({ type: 'touched', atMs }).catch((error: unknown) => {
      this.#options.log.debug({ taskId: this.id, error: DfError.from(error).message }, 'a touch was not journalled');
    });
  }

  /** Keeps the task from being evicted. @returns how to let go */
  pin(): () => void {
    this.#pins += 1;
    let isPinned = true;
    return () => {
      if (isPinned) this.#pins -= 1;
      isPinned = false;
    };
  }

  /**
   * Gives the content out under a name of the user's; see `OutputOptions` for how. Suspect pieces are checked first.
   * @throws DfError `failed-precondition` when the content (or the range) is not all there, `data-loss` when a piece
   *   was found damaged (fetch `details.droppedPieces` again), and those of `placeOutput`
   */
  async linkTo(target: string, options: OutputOptions = {}): Promise<OutputOutcome> {
    this.#ensureAlive();
    const unpin = this.pin();
    try {
      return await this.#output.linkTo(target, options);
    } catch (error) {
      throw DfError.from(error);
    } finally {
      unpin();
    }
  }

  /** Whether the content file is still there: a cache invites people to tidy up. */
  hasContent(): Promise<boolean> {
    return this.#output.hasContent();
  }

  /** Whether the whole content has this digest (`algorithm:value`); hashed in a worker thread. */
  async verify(digest: string, signal?: AbortSignal): Promise<boolean> {
    const { algorithm, encoded } = splitDigest(digest);
    return (await this.digest(algorithm, signal)) === encoded.toLowerCase();
  }

  /** @returns the digest's value, hex (decimal for crc32) */
  async digest(algorithm: string, signal?: AbortSignal): Promise<string> {
    this.#ensureAlive();
    this.#output.ensureReady(undefined);
    const length = this.contentLengthBytes ?? 0;
    return this.#content.use((fd) => digestOfFile(fd, length, algorithm, signal));
  }

  /** For the store alone: nothing is accepted any more, and whoever waits is told. The files are the store's to remove. */
  async detach(reason: 'deleted' | 'closed'): Promise<void> {
    if (reason === 'deleted') {
      this.#isDeleted = true;
      this.#end('deleted');
      for (const writer of [...this.#writers.values()]) writer.abort();
    } else {
      this.#events.rejectAll(new DfError('cancelled', 'the piece store is closing'));
    }
    await this.#journal.close();
  }

  async #finishPiece(number: number, commit: PieceCommit): Promise<PieceRecord> {
    const expected = this.#lengthOfPiece(number);
    const isShortLastPiece = this.contentLengthBytes === undefined && commit.lengthBytes > 0;
    if (commit.lengthBytes !== expected && !isShortLastPiece) {
      throw this.#error('invalid-argument', `piece ${number} must have ${expected} bytes, not ${commit.lengthBytes}`);
    }
    const entry = {
      lengthBytes: commit.lengthBytes,
      crc32: commit.crc32 >>> 0,
      parentId: (commit.parentId ?? '').slice(0, 1024),
      trafficType: commit.trafficType & 0xff,
      costMs: Math.min(Math.max(0, Math.round(commit.costMs)), 0xffffffff),
      createdAtMs: this.#options.nowMs(),
    };
    await this.#journal.append({ type: 'piece', number, ...entry });
    this.#ensureAlive();
    this.#state.table.set(number, entry);
    const piece = this.piece(number);
    if (piece === undefined) throw this.#error('internal', `piece ${number} vanished`);
    this.#events.pieceFinished(piece);
    return piece;
  }

  #releasePiece(number: number): void {
    this.#writers.delete(number);
    if (this.#state.table.has(number)) return;
    this.#events.pieceGivenUp(number, this.#error('unavailable', `piece ${number} was given up by its writer`));
  }

  #end(end: TaskEnd): void {
    this.#events.ended(end, this.#error('not-found', `is ${end}, the piece will not come`));
  }

  #lengthOfPiece(number: number): number {
    const length = lengthOfPiece(number, this.pieceLengthBytes, this.contentLengthBytes);
    if (length > 0) return length;
    throw this.#error('invalid-argument', `has no piece ${number}`);
  }

  #ensureAlive(): void {
    if (this.#isDeleted) throw this.#error('not-found', 'was deleted');
  }

  #ensureWritable(): void {
    this.#ensureAlive();
    if (this.failure !== undefined) throw this.#error('failed-precondition', `has failed: ${this.failure.message}`);
  }

  #error(code: ConstructorParameters<typeof DfError>[0], text: string): DfError {
    return taskError(this.#state, code, text);
  }
}
