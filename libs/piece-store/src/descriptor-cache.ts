import { DfError } from '@dragonfly/errors';
import { closeFile, openFile } from './file-io.js';

/** A descriptor on loan; it stays valid until `release`, even when the file is unlinked meanwhile. */
export interface DescriptorLease {
  readonly fd: number;
  /** Gives the descriptor back; further calls do nothing. */
  release(): void;
}

interface Entry {
  readonly path: string;
  readonly opening: Promise<number>;
  users: number;
  /** No longer to be found by path: closed when the last user lets go. */
  forgotten: boolean;
}

export interface DescriptorLimits {
  /** Most descriptors at one time, in use or kept. */
  readonly maxOpenFiles: number;
  /** As long as more than this are open, one that nobody uses is closed at once. */
  readonly maxKeptFiles: number;
}

/**
 * Open files by path, shared and counted. Unused ones stay open, least recently used first out, so that serving piece
 * after piece of a task costs no open and close each.
 */
export class DescriptorCache {
  readonly #limits: DescriptorLimits;
  readonly #onCloseError: (error: unknown, path: string) => void;
  /** In order of last use, oldest first. */
  readonly #entries = new Map<string, Entry>();
  #openCount = 0;
  readonly #closing = new Set<Promise<void>>();

  constructor(limits: DescriptorLimits, onCloseError: (error: unknown, path: string) => void) {
    this.#limits = limits;
    this.#onCloseError = onCloseError;
  }

  get openCount(): number {
    return this.#openCount;
  }

  /**
   * Opens `path` for reading and writing, or shares the descriptor that is open already.
   * @throws DfError `resource-exhausted` when every descriptor is in use; the file system's error when it cannot open
   */
  async acquire(path: string): Promise<DescriptorLease> {
    const entry = this.#entries.get(path) ?? this.#open(path, (name) => openFile(name, 'r+'));
    // Last in the map = most recently used.
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    return this.#lend(entry);
  }

  /**
   * Makes the file `path` and keeps it open for those who come next.
   * @param flags `w+` replaces a file that is there, `wx+` refuses it
   * @throws DfError `resource-exhausted`; the file system's error
   */
  async create(path: string, flags: 'w+' | 'wx+', mode: number): Promise<DescriptorLease> {
    this.forget(path);
    return this.#lend(this.#open(path, (name) => openFile(name, flags, mode)));
  }

  async #lend(entry: Entry): Promise<DescriptorLease> {
    entry.users += 1;
    let fd: number;
    try {
      fd = await entry.opening;
    } catch (error) {
      entry.users -= 1;
      throw error;
    }
    let released = false;
    return {
      fd,
      release: () => {
        if (released) return;
        released = true;
        entry.users -= 1;
        if (entry.users > 0) return;
        if (entry.forgotten) this.#close(entry);
        else if (this.#openCount > this.#limits.maxKeptFiles) this.forget(entry.path);
      },
    };
  }

  /** The path now names another file, or none: nobody new gets the old descriptor. */
  forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    entry.forgotten = true;
    if (entry.users === 0) this.#close(entry);
  }

  /** Forgets everything and waits until the unused descriptors are closed; leases that are out close on release. */
  async close(): Promise<void> {
    for (const path of [...this.#entries.keys()]) this.forget(path);
    await Promise.all(this.#closing);
  }

  #open(path: string, open: (path: string) => Promise<number>): Entry {
    this.#makeRoom();
    this.#openCount += 1;
    const opening = open(path);
    const entry: Entry = { path, opening, users: 0, forgotten: false };
    this.#entries.set(path, entry);
    opening.catch(() => {
      // Every waiter gets the error from `opening` itself.
      this.#openCount -= 1;
      if (this.#entries.get(path) === entry) this.#entries.delete(path);
    });
    return entry;
  }

  #makeRoom(): void {
    const { maxOpenFiles, maxKeptFiles } = this.#limits;
    if (this.#openCount < Math.min(maxKeptFiles, maxOpenFiles)) return;
    for (const [path, entry] of this.#entries) {
      if (entry.users > 0) continue;
      this.forget(path);
      return;
    }
    if (this.#openCount < maxOpenFiles) return;
    throw new DfError('resource-exhausted', `all ${maxOpenFiles} store descriptors are in use`, {
      retryable: true,
      details: { maxOpenFiles },
    });
  }

  #close(entry: Entry): void {
    const closing = entry.opening
      .then(
        async (fd) => {
          this.#openCount -= 1;
          await closeFile(fd);
        },
        () => undefined, // never opened
      )
      .catch((error: unknown) => this.#onCloseError(error, entry.path))
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
