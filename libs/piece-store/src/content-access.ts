import { DfError } from '@dragonfly/errors';
import type { ContentGuard } from './content-guard.js';
import type { DescriptorCache, DescriptorLease } from './descriptor-cache.js';
import { taskError } from './task-error.js';
import type { TaskState } from './task-state.js';
import type { PieceRecord } from './task-types.js';

/** A piece ready to be sent. */
export interface OpenedPiece {
  readonly piece: PieceRecord;
  /** Belongs to the store; valid until `release`, also when the task is deleted meanwhile. */
  readonly fd: number;
  readonly fileOffset: number;
  readonly lengthBytes: number;
  release(): void;
}

export interface ContentAccessOptions {
  readonly state: TaskState;
  readonly contentPath: string;
  readonly descriptors: DescriptorCache;
  readonly guard: ContentGuard;
  /** @throws DfError `not-found` when the task is deleted */
  readonly ensureAlive: () => void;
}

/** Opens the content file of one task for whoever reads it, and counts them. */
export class ContentAccess {
  readonly #options: ContentAccessOptions;
  #leases = 0;

  constructor(options: ContentAccessOptions) {
    this.#options = options;
  }

  get isInUse(): boolean {
    return this.#leases > 0;
  }

  /**
   * Opens a piece for sending; see `StoredTask.openForRead`.
   * @throws DfError `not-found` when it is absent, or was found to be wrong and dropped just now
   */
  async openPiece(number: number, signal: AbortSignal | undefined): Promise<OpenedPiece> {
    const { state, guard } = this.#options;
    for (;;) {
      if (!state.table.has(number)) throw taskError(state, 'not-found', `piece ${number} is not stored`);
      const generation = guard.generation;
      const lease = await this.#lease();
      try {
        const isGood = await guard.admit(number, lease.fd);
        signal?.throwIfAborted();
        const piece = state.table.get(number);
        if (!isGood || piece === undefined) {
          throw taskError(state, 'not-found', `piece ${number} was damaged and is dropped`);
        }
        // The content moved to a private file meanwhile: what was opened is the user's file now.
        if (guard.generation !== generation) {
          lease.release();
          continue;
        }
        return {
          piece,
          fd: lease.fd,
          fileOffset: piece.offsetBytes,
          lengthBytes: piece.lengthBytes,
          release: () => lease.release(),
        };
      } catch (error) {
        lease.release();
        throw DfError.from(error);
      }
    }
  }

  /** @throws DfError of the file system or of `use` */
  async use<T>(use: (fd: number) => Promise<T>): Promise<T> {
    const lease = await this.#lease();
    try {
      return await use(lease.fd);
    } catch (error) {
      throw DfError.from(error);
    } finally {
      lease.release();
    }
  }

  async #lease(): Promise<DescriptorLease> {
    const { descriptors, contentPath, ensureAlive } = this.#options;
    ensureAlive();
    const lease = await descriptors.acquire(contentPath).catch((error: unknown) => {
      throw DfError.from(error);
    });
    this.#leases += 1;
    let isOut = true;
    return {
      fd: lease.fd,
      release: () => {
        if (isOut) this.#leases -= 1;
        isOut = false;
        lease.release();
      },
    };
  }
}
