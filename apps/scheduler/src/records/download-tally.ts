import type { DownloadRecord, ParentShare } from './download-record.js';

/** Parents that are told apart for one download; a download has 3 at a time, new ones when they fail. */
const MAX_TALLIED_PARENTS = 128;
/** Parents that a record names, those that gave most. */
const MAX_RECORDED_PARENTS = 32;

/** What is looked at of a parent. */
export interface TalliedParent {
  readonly id: string;
  readonly host: { readonly id: string; readonly facts: { readonly isSeed: boolean; readonly idc: string } };
}

interface Share {
  hostId: string;
  bytes: number;
  pieces: number;
  failures: number;
}

type Sums = Pick<
  DownloadRecord,
  'sourceBytes' | 'peerBytes' | 'seedBytes' | 'localBytes' | 'crossIdcBytes' | 'pieceFailures' | 'parents'
>;

/** What one running download has got from whom, whatever kind of task it is of. */
export class DownloadTally {
  #sourceBytes = 0;
  #peerBytes = 0;
  #seedBytes = 0;
  #localBytes = 0;
  #crossIdcBytes = 0;
  #pieceFailures = 0;
  readonly #shares = new Map<string, Share>();

  /** @param idc data centre of the host that downloads */
  constructor(private readonly idc: string) {}

  /** @param parent undefined for a piece from the source, or from a parent that is not known any more */
  pieceFinished(parent: TalliedParent | undefined, isFromSource: boolean, lengthBytes: number): void {
    if (isFromSource) {
      this.#sourceBytes += lengthBytes;
      return;
    }
    if (parent?.host.facts.isSeed === true) this.#seedBytes += lengthBytes;
    else this.#peerBytes += lengthBytes;
    if (parent === undefined) return;
    if (parent.host.facts.idc.toLowerCase() !== this.idc.toLowerCase()) this.#crossIdcBytes += lengthBytes;
    const share = this.#shareOf(parent.id, parent.host.id);
    if (share === undefined) return;
    share.bytes += lengthBytes;
    share.pieces += 1;
  }

  /** The host had the piece already. */
  pieceFound(lengthBytes: number): void {
    this.#localBytes += lengthBytes;
  }

  /** @param parentId empty for the source */
  pieceFailed(parentId: string, parentHostId: string): void {
    this.#pieceFailures += 1;
    const share = parentId === '' ? undefined : this.#shareOf(parentId, parentHostId);
    if (share !== undefined) share.failures += 1;
  }

  sums(): Sums {
    return {
      sourceBytes: this.#sourceBytes,
      peerBytes: this.#peerBytes,
      seedBytes: this.#seedBytes,
      localBytes: this.#localBytes,
      crossIdcBytes: this.#crossIdcBytes,
      pieceFailures: this.#pieceFailures,
      parents: Array.from(this.#shares, ([peerId, share]): ParentShare => ({ peerId, ...share }))
        .sort((a, b) => b.bytes - a.bytes)
        .slice(0, MAX_RECORDED_PARENTS),
    };
  }

  #shareOf(peerId: string, hostId: string): Share | undefined {
    let share = this.#shares.get(peerId);
    if (share === undefined && this.#shares.size < MAX_TALLIED_PARENTS) {
      share = { hostId, bytes: 0, pieces: 0, failures: 0 };
      this.#shares.set(peerId, share);
    }
    return share;
  }
}
