import { lstat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { DfError, isErrnoException } from '@dragonfly/errors';
import { isComputable, tryParseDigest } from '@dragonfly/ids';
import type { PieceStore, StoredTask } from '@dragonfly/piece-store';
import { unlessAborted } from '../backoff.js';
import { provenanceOf, provenanceText } from './provenance.js';
import type { DownloadResult } from './task-run.js';

/** Digest checks that are remembered, so that a second download of a large file need not hash it again. */
const MAX_REMEMBERED_DIGESTS = 1000;

export interface OutputRequest {
  /** Absolute path. */
  readonly path: string;
  readonly overwrite: boolean;
  readonly forceHardLink: boolean;
  /** Who shall own a copied file; only root can give files away. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** Of the error for a content that is not in the store any more, and of which the store has been told by now. */
const CONTENT_GONE = { isContentGone: true };

/** Whether downloading once more brings what `deliver` could not give out. */
export function isContentGone(error: unknown): boolean {
  return error instanceof DfError && error.details['isContentGone'] === true;
}

/** Peers that may have served wrong bytes with checksums to match; empty when it would be no use to ask others. */
export function suspectsOf(error: unknown): readonly string[] {
  const suspects = error instanceof DfError ? error.details['suspects'] : undefined;
  return Array.isArray(suspects) ? (suspects as readonly string[]) : [];
}

/** A content being hashed for everybody who asked for it. */
interface Hashing {
  readonly answer: Promise<boolean>;
  readonly stop: AbortController;
  users: number;
}

/** Makes finished downloads visible: checked first, then linked or copied under their name in one step. */
export class OutputWriter {
  private readonly verified = new Set<string>();
  private readonly hashing = new Map<string, Hashing>();

  /** @param store of the tasks; content that is not what its requester expected goes, unless others use it */
  constructor(private readonly store: Pick<PieceStore, 'evict'>) {}

  /**
   * Refuses early what would be refused at the end.
   * @throws DfError `already-exists`, `invalid-argument`
   */
  async check(output: OutputRequest | undefined, digest: string | undefined): Promise<void> {
    const parsed = digest === undefined || digest === '' ? undefined : tryParseDigest(digest);
    if (parsed !== undefined && !isComputable(parsed.algorithm)) {
      throw new DfError('invalid-argument', `digest: ${parsed.algorithm} cannot be checked by this daemon`);
    }
    if (output === undefined) return;
    if (!isAbsolute(output.path)) {
      throw new DfError('invalid-argument', `output path ${output.path} must be absolute`);
    }
    if (output.overwrite) return;
    try {
      await lstat(output.path);
    } catch (error) {
      if (isErrnoException(error) && error.code === 'ENOENT') return;
      throw DfError.from(error);
    }
    throw new DfError('already-exists', `output path ${output.path} is already there; use --overwrite to replace it`);
  }

  /**
   * Checks the digest of a finished download and puts it at its path. Content that was fetched just now and is not what
   * the caller expected is thrown away, so that the next request fetches it anew; content that was here before, or that
   * others are using, stays, because the expectation may be what is wrong.
   * @returns how the output came to be; `stored` without one
   * @throws DfError `data-loss`, `already-exists`, `permission-denied`, `no-space`, `failed-precondition`
   */
  async deliver(
    result: DownloadResult,
    digest: string | undefined,
    output: OutputRequest | undefined,
    signal: AbortSignal,
  ): Promise<'linked' | 'reflinked' | 'copied' | 'stored'> {
    const { task, range } = result;
    if (digest !== undefined && digest !== '' && range === undefined && !(await this.hasDigest(task, digest, signal))) {
      throw await this.wrongDigest(result, digest);
    }
    if (output === undefined) return 'stored';
    try {
      return await this.place(result, output, signal);
    } catch (caught) {
      const error = DfError.from(caught);
      if (signal.aborted || error.details['errno'] !== 'ENOENT' || (await task.hasContent())) throw error;
      await this.store.evict(task.kind, task.id);
      throw new DfError('unavailable', 'the stored content has been removed', { cause: error, details: CONTENT_GONE });
    }
  }

  private async wrongDigest({ task, isLocalHit }: DownloadResult, digest: string): Promise<DfError> {
    const provenance = provenanceOf(task);
    const isDiscarded = !isLocalHit && (await this.store.evict(task.kind, task.id));
    const from = `it was ${isLocalHit ? 'stored here before' : 'fetched now'}: ${provenanceText(provenance)}`;
    return new DfError('data-loss', `the content has not the digest ${digest}; ${from}`, {
      // Whoever lied about a piece lied about its checksum as well; seed peers have theirs from the source.
      details: { expected: digest, ...(isDiscarded ? { suspects: [...provenance.peers.keys()] } : {}) },
    });
  }

  private place(
    { task, range }: DownloadResult,
    output: OutputRequest,
    signal: AbortSignal,
  ): Promise<'linked' | 'reflinked' | 'copied'> {
    return task.linkTo(output.path, {
      overwrite: output.overwrite,
      mode: output.forceHardLink ? 'hard-link-only' : 'auto',
      signal,
      ...(output.owner === undefined ? {} : { owner: output.owner }),
      ...(range === undefined ? {} : { range: { startBytes: range.start, lengthBytes: range.length } }),
    });
  }

  /** Of requests that come together one hash serves all. */
  private async hasDigest(task: StoredTask, digest: string, signal: AbortSignal): Promise<boolean> {
    const key = `${task.kind} ${task.id} ${task.meta.createdAtMs} ${digest}`;
    if (this.verified.has(key)) return true;
    const known = this.hashing.get(key);
    const hashing = known === undefined || known.stop.signal.aborted ? this.hash(task, digest, key) : known;
    hashing.users += 1;
    try {
      return await unlessAborted(hashing.answer, signal);
    } finally {
      hashing.users -= 1;
      if (hashing.users === 0) hashing.stop.abort(new DfError('cancelled', 'nobody wants the digest any more'));
    }
  }

  private hash(task: StoredTask, digest: string, key: string): Hashing {
    const stop = new AbortController();
    const answer = task.verify(digest, stop.signal).then((isRight) => {
      if (isRight) this.remember(key);
      return isRight;
    });
    const hashing: Hashing = { answer, stop, users: 0 };
    this.hashing.set(key, hashing);
    const forget = (): void => {
      if (this.hashing.get(key) === hashing) this.hashing.delete(key);
    };
    answer.then(forget, forget);
    return hashing;
  }

  private remember(key: string): void {
    this.verified.add(key);
    const oldest = this.verified.values().next().value;
    if (this.verified.size > MAX_REMEMBERED_DIGESTS && oldest !== undefined) this.verified.delete(oldest);
  }
}
