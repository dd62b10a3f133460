import type { commonV2 } from '@dragonfly/proto';
import type { PushTarget } from '../scheduler/push-listener.js';
import type { AttemptOptions, AttemptServices } from './attempt-services.js';
import type { MovingConversation } from './moving-conversation.js';
import type { Registration } from './registration.js';
import type { WantedPieces } from './wanted-pieces.js';

/**
 * Fetching from the parents that a scheduler has offered, told to it piece by piece. When that scheduler dies the parents
 * at hand go on serving, and the next one is told of what is here; parents that come as news are taken in.
 */
export class ParentFetching {
  private session: PushTarget | undefined;
  private unregister: (() => void) | undefined;

  /** @param banned parents that this attempt asks no more; grows */
  constructor(
    private readonly conversation: MovingConversation,
    private readonly options: AttemptOptions,
    private readonly services: AttemptServices,
    private readonly registration: Registration,
    private readonly wanted: WantedPieces,
    private readonly banned: Set<string>,
  ) {}

  /**
   * @param candidates the parents; those that come as news are appended
   * @returns whether every wanted piece is in the store
   * @throws DfError when the signal fires, or what keeps pieces out of the store
   */
  async run(candidates: commonV2.Peer[], signal: AbortSignal): Promise<boolean> {
    const { task } = this.options;
    if (task.contentLengthBytes === undefined) {
      const learnt = lengthToldBy(candidates) ?? (await this.services.learnLength(candidates, task.id, signal));
      if (learnt === undefined) return false;
      await task.setContentLength(learnt);
    }
    const pieces = this.wanted.missing() ?? [];
    if (pieces.length === 0) return true;
    const done = new AbortController();
    const watching = this.keepTold(AbortSignal.any([signal, done.signal]));
    try {
      return await this.fetch(pieces, candidates, signal);
    } finally {
      done.abort();
      this.unregister?.();
      await watching;
    }
  }

  private keepTold(signal: AbortSignal): Promise<void> {
    return this.conversation.keepTold(
      {
        register: (link, until) => this.registration.openAgain(link, {}, until),
        answered: async (answer) => {
          // The parents at hand go on serving: another scheduler may know of more, but none is to begin at the source.
          if (answer.$case !== 'normalTaskResponse') return 'leave';
          this.session?.addParents(answer.value.candidateParents);
          this.listen();
          return 'stay';
        },
        begin: { $case: 'downloadPeerStartedRequest', value: {} },
      },
      signal,
    );
  }

  private async fetch(pieces: readonly number[], candidates: commonV2.Peer[], signal: AbortSignal): Promise<boolean> {
    const { conversation, banned } = this;
    const { task, request, limiters, log } = this.options;
    const outcome = await this.services.fetchFromParents(
      {
        onBegun: (session) => {
          this.session = session;
          this.listen();
        },
        onMoreParents: (more) => {
          candidates.push(...more);
        },
        task,
        request,
        candidates,
        pieces,
        limiters,
        banned,
        log,
        onPiece: (record) => {
          conversation.reportPiece(record);
        },
        onPieceFailed: (pieceNumber, parentId) => {
          conversation.report({
            $case: 'downloadPieceFailedRequest',
            value: { pieceNumber, parentId, temporary: true },
          });
        },
      },
      signal,
    );
    return outcome === 'complete';
  }

  /** To news for the peer that this attempt is at the moment. */
  private listen(): void {
    this.unregister?.();
    if (this.session !== undefined) this.unregister = this.services.hearNews(this.registration.peerId, this.session);
  }
}

/** Our scheduler tells waiting peers the length as soon as it is known. */
function lengthToldBy(candidates: readonly commonV2.Peer[]): number | undefined {
  for (const { task } of candidates) {
    const length = task?.contentLength ?? 0n;
    if (length > 0n && length <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(length);
  }
  return undefined;
}
