import { mkdir, readFile, stat, statfs, unlink } from 'node:fs/promises';
import path from 'node:path';
import { DfError } from '@dragonfly/errors';
import { capacityOf } from './capacity.js';
import { readBootId } from './boot-id.js';
import { checkContentLength, checkPieceLength } from './content-length.js';
import { DescriptorCache } from './descriptor-cache.js';
import { DirectoryLock } from './directory-lock.js';
import { FileCloner } from './file-cloner.js';
import { ifPresent, truncateFile } from './file-io.js';
import { scanJournal } from './journal-record.js';
import { Journal } from './journal.js';
import {
  checkFormatVersion,
  createRoots,
  refuseForeignDirectory,
  StoreLayout,
  walkFiles,
  wipeContent,
  type StoredFile,
} from './layout.js';
import { StoredTask } from './stored-task.js';
import { newTaskState, replay, type TaskState } from './task-state.js';
import { TASK_KINDS, type StoreLog, type SyncPolicy, type TaskInit, type TaskKind } from './task-types.js';

/** Every task being written or read holds one, and its journal another for a moment. */
const DEFAULT_MAX_OPEN_FILES = 16_384;
/** Of those, as many stay open without being used. */
const MAX_KEPT_FILES = 512;
/** Journals read at the same time during start-up. */
const RECOVERY_CONCURRENCY = 16;

export interface PieceStoreOptions {
  readonly directory: string;
  readonly log: StoreLog;
  /** Whether content of an earlier run is kept. @default true */
  readonly keep?: boolean;
  /** @default 'none' */
  readonly syncPolicy?: SyncPolicy;
  /** Most descriptors open at one time, content and journals together; what the system allows may be less. @default 16384 */
  readonly maxOpenFiles?: number;
  readonly nowMs?: () => number;
}

export interface StoreUsage {
  /** Own content and journals; other files on the file system do not count. */
  readonly usedBytes: number;
  /** Of the file system, as available to this user. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** All tasks below one directory. One process at a time. */
export class PieceStore {
  readonly #layout: StoreLayout;
  readonly #lock: DirectoryLock;
  readonly #options: Required<PieceStoreOptions>;
  readonly #bootId: string;
  readonly #descriptors: DescriptorCache;
  readonly #cloner = new FileCloner();
  readonly #tasks = new Map<string, StoredTask>();
  readonly #creating = new Map<string, Promise<StoredTask>>();
  readonly #deleting = new Map<string, Promise<void>>();
  #isClosed = false;

  private constructor(layout: StoreLayout, lock: DirectoryLock, options: Required<PieceStoreOptions>, bootId: string) {
    this.#layout = layout;
    this.#lock = lock;
    this.#options = options;
    this.#bootId = bootId;
    this.#descriptors = new DescriptorCache(
      { maxOpenFiles: options.maxOpenFiles, maxKeptFiles: MAX_KEPT_FILES },
      (error, file) =>
        options.log.warn({ error: DfError.from(error).message, file }, 'a store file did not close cleanly'),
    );
  }

  /**
   * Locks the directory (made when missing), recovers what is there and cleans up what a crash left.
   * @throws DfError `failed-precondition` when another process has it, when it belongs to a Rust dfdaemon, or when its
   *   format is unknown; the message says what to do
   */
  static async open(options: PieceStoreOptions): Promise<PieceStore> {
    const layout = new StoreLayout(options.directory);
    try {
      await mkdir(layout.directory, { recursive: true });
      await refuseForeignDirectory(layout);
    } catch (error) {
      throw DfError.from(error);
    }
    const lock = await DirectoryLock.acquire(layout.directory).catch((error: unknown) => {
      throw DfError.from(error);
    });
    try {
      await checkFormatVersion(layout);
      if (options.keep === false) await wipeContent(layout);
      await createRoots(layout);
      const settings = {
        keep: true,
        syncPolicy: 'none' as const,
        maxOpenFiles: DEFAULT_MAX_OPEN_FILES,
        nowMs: Date.now,
        ...definedOnly(options),
      };
      const store = new PieceStore(layout, lock, settings, await readBootId());
      await store.#recover();
      return store;
    } catch (error) {
      await lock.release();
      throw DfError.from(error);
    }
  }

  get directory(): string {
    return this.#layout.directory;
  }

  get(kind: TaskKind, id: string): StoredTask | undefined {
    return this.#tasks.get(keyOf(kind, id));
  }

  /** All tasks, in no order. */
  list(): StoredTask[] {
    return [...this.#tasks.values()];
  }

  /**
   * The task, made with `init` when it is new; an existing one is returned as it is.
   * @throws DfError `invalid-argument` for a bad id or length, `no-space` when the content cannot fit
   */
  async getOrCreate(kind: TaskKind, id: string, init: TaskInit): Promise<StoredTask> {
    this.#ensureOpen();
    const key = keyOf(kind, id);
    const existing = this.#tasks.get(key) ?? this.#creating.get(key);
    if (existing !== undefined) return existing;
    const creating = this.#create(kind, id, init).finally(() => this.#creating.delete(key));
    this.#creating.set(key, creating);
    return creating;
  }

  /**
   * Removes a task, used or not: readers keep their descriptors, writers and waiters get `not-found`.
   * @returns whether there was one
   */
  async delete(kind: TaskKind, id: string): Promise<boolean> {
    const key = keyOf(kind, id);
    const task = this.#tasks.get(key);
    if (task === undefined) {
      await this.#deleting.get(key);
      return false;
    }
    this.#tasks.delete(key);
    const deleting = this.#remove(task).finally(() => this.#deleting.delete(key));
    this.#deleting.set(key, deleting);
    await deleting;
    return true;
  }

  /** Like `delete`, but leaves a task alone that is in use. */
  async evict(kind: TaskKind, id: string): Promise<boolean> {
    if (this.get(kind, id)?.isInUse !== false) return false;
    return this.delete(kind, id);
  }

  async usage(): Promise<StoreUsage> {
    let usedBytes = 0;
    for (const task of this.#tasks.values()) usedBytes += task.storedBytes;
    return { usedBytes, ...(await this.#fileSystem()) };
  }

  /** Finishes journal writes under way, closes every file and unlocks the directory. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.allSettled([...this.#creating.values(), ...this.#deleting.values()]);
    await Promise.all(this.list().map((task) => task.detach('closed')));
    await this.#descriptors.close();
    await this.#lock.release();
  }

  async #create(kind: TaskKind, id: string, init: TaskInit): Promise<StoredTask> {
    const journalPath = this.#layout.journalPath(kind, id);
    const contentPath = this.#layout.contentPath(kind, id);
    checkPieceLength(init.pieceLengthBytes);
    if (init.contentLengthBytes !== undefined) {
      checkContentLength(init.contentLengthBytes, init.pieceLengthBytes);
    }
    await this.#deleting.get(keyOf(kind, id));
    const state = newTaskState(kind, id, init, this.#options.nowMs());
    try {
      // A small download waits for these steps more than for its bytes: what can go on at the same time does.
      await Promise.all([
        this.#ensureSpace(init.contentLengthBytes ?? 0),
        mkdir(path.dirname(contentPath), { recursive: true }),
        mkdir(path.dirname(journalPath), { recursive: true }),
      ]);
      // Content first: content without a journal is litter, a journal without content would be a lie.
      const size = await this.#createFiles(contentPath, init.contentLengthBytes ?? 0, () =>
        Journal.create(journalPath, { type: 'task', kind, id, meta: state.meta }, this.#descriptors),
      );
      const task = this.#taskOf(state, size);
      this.#tasks.set(keyOf(kind, id), task);
      return task;
    } catch (error) {
      for (const file of [journalPath, contentPath]) {
        this.#descriptors.forget(file);
        await ifPresent(unlink(file));
      }
      throw DfError.from(error);
    }
  }

  async #createFiles(
    contentPath: string,
    contentLengthBytes: number,
    createJournal: () => Promise<number>,
  ): Promise<number> {
    const content = await this.#descriptors.create(contentPath, 'w+', 0o644);
    const steps = await Promise.allSettled([createJournal(), truncateFile(content.fd, contentLengthBytes)]);
    content.release();
    const [journal, length] = steps;
    if (journal.status === 'rejected') throw journal.reason;
    if (length.status === 'rejected') throw length.reason;
    return journal.value;
  }

  async #fileSystem(): Promise<{ freeBytes: number; totalBytes: number }> {
    try {
      return capacityOf(await statfs(this.directory));
    } catch (error) {
      throw DfError.from(error);
    }
  }

  async #ensureSpace(neededBytes: number): Promise<void> {
    const { freeBytes } = await this.#fileSystem();
    if (neededBytes <= freeBytes) return;
    throw new DfError(
      'no-space',
      `the content has ${neededBytes} bytes, the file system of ${this.directory} has ${freeBytes} free`,
      { details: { neededBytes, freeBytes, directory: this.directory } },
    );
  }

  async #remove(task: StoredTask): Promise<void> {
    const journalPath = this.#layout.journalPath(task.kind, task.id);
    const contentPath = this.#layout.contentPath(task.kind, task.id);
    await task.detach('deleted');
    for (const file of [journalPath, contentPath]) {
      this.#descriptors.forget(file);
      await ifPresent(unlink(file)).catch((error: unknown) => {
        throw DfError.from(error);
      });
    }
  }

  #taskOf(state: TaskState, journalSizeBytes: number): StoredTask {
    return new StoredTask({
      state,
      journalSizeBytes,
      journalPath: this.#layout.journalPath(state.kind, state.id),
      contentPath: this.#layout.contentPath(state.kind, state.id),
      descriptors: this.#descriptors,
      cloner: this.#cloner,
      syncPolicy: this.#options.syncPolicy,
      bootId: this.#bootId,
      log: this.#options.log,
      nowMs: this.#options.nowMs,
    });
  }

  async #recover(): Promise<void> {
    const files: StoredFile[] = [];
    for await (const file of walkFiles(this.#layout.journalRoot, TASK_KINDS)) files.push(file);
    const pending = files.values();
    const worker = async (): Promise<void> => {
      for (const file of pending) await this.#recoverTask(file);
    };
    await Promise.all(Array.from({ length: RECOVERY_CONCURRENCY }, worker));
    for await (const file of walkFiles(this.#layout.dataRoot, TASK_KINDS)) {
      if (!this.#tasks.has(keyOf(file.kind, file.id))) await ifPresent(unlink(file.path));
    }
    const { log } = this.#options;
    log.info({ directory: this.directory, tasks: this.#tasks.size }, 'piece store recovered');
  }

  async #recoverTask(file: StoredFile): Promise<void> {
    const { log } = this.#options;
    const content = await readFile(file.path);
    const { records, validBytes } = scanJournal(content);
    const state = replay(records, this.#bootId);
    const found = state?.kind === file.kind && state.id === file.id ? state : undefined;
    const contentFile =
      found === undefined ? undefined : await ifPresent(stat(this.#layout.contentPath(found.kind, found.id)));
    if (found === undefined || contentFile === undefined) {
      log.warn({ file: file.path }, 'a journal without a usable task or content is removed');
      await ifPresent(unlink(file.path));
      return;
    }
    if (validBytes < content.length) {
      log.warn({ taskId: found.id, cutBytes: content.length - validBytes }, 'the torn tail of a journal is cut');
    }
    for (const number of found.table.numbers()) {
      const end = number * found.meta.pieceLengthBytes + found.table.lengthOf(number);
      // A power loss may leave the file shorter than its journal says.
      if (end > contentFile.size && found.table.delete(number)) found.isComplete = false;
    }
    this.#tasks.set(keyOf(found.kind, found.id), this.#taskOf(found, validBytes));
  }

  #ensureOpen(): void {
    if (this.#isClosed) throw new DfError('failed-precondition', 'the piece store is closed');
  }
}

function keyOf(kind: TaskKind, id: string): string {
  return `${kind}/${id}`;
}

/** Options given as `undefined` mean the default. */
function definedOnly(options: PieceStoreOptions): PieceStoreOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as PieceStoreOptions;
}
