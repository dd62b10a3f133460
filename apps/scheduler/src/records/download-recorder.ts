import type { Peer } from '@dragonfly/scheduling';
import type { DownloadEnd, DownloadRecord, ParentShare } from './download-record.js';

/** Parents that are told apart for one download; a download has 3 at a time, new ones when they fail. */
const MAX_TALLIED_PARENTS = 128;
/** Parents that a record names, those that gave most. */
const MAX_RECORDED_PARENTS = 32;
/** Free text in a record is cut. */
const MAX_TEXT_LENGTH = 1_024;

/** Where records go. Must not block and must not throw. */
export interface RecordSink {
  add(record: DownloadRecord): void;
}

interface Share {
  hostId: string;
  bytes: number;
  pieces: number;
  failures: number;
}

interface Tally {
  sourceBytes: number;
  peerBytes: number;
  seedBytes: number;
  localBytes: number;
  crossIdcBytes: number;
  pieceFailures: number;
  readonly parents: Map<string, Share>;
}

/** Adds up what each running download gets from whom, and writes it down when the download ends. */
export class DownloadRecorder {
  readonly #tallies = new Map<Peer, Tally>();

  constructor(
    private readonly nowMs: () => number,
    private readonly sink: RecordSink | undefined,
  ) {}

  /** Downloads under way. */
  get openCount(): number {
    return this.#tallies.size;
  }

  started(peer: Peer): void {
    if (this.sink === undefined) return;
    this.#tallies.set(peer, {
      sourceBytes: 0,
      peerBytes: 0,
      seedBytes: 0,
      localBytes: 0,
      crossIdcBytes: 0,
      pieceFailures: 0,
      parents: new Map(),
    });
  }

  /** @param parent undefined for a piece from the source, or from a parent that is not known any more */
  pieceFinished(peer: Peer, parent: Peer | undefined, isFromSource: boolean, lengthBytes: number): void {
    const tally = this.#tallies.get(peer);
    if (tally === undefined) return;
    if (isFromSource) {
      tally.sourceBytes += lengthBytes;
      return;
    }
    if (parent?.host.facts.isSeed === true) tally.seedBytes += lengthBytes;
    else tally.peerBytes += lengthBytes;
    if (parent === undefined) return;
    const { idc } = parent.host.facts;
    if (idc.toLowerCase() !== peer.host.facts.idc.toLowerCase()) tally.crossIdcBytes += lengthBytes;
    const share = shareOf(tally, parent.id, parent.host.id);
    if (share === undefined) return;
    share.bytes += lengthBytes;
    share.pieces += 1;
  }

  /** The host had the piece already. */
  pieceFound(peer: Peer, lengthBytes: number): void {
    const tally = this.#tallies.get(peer);
    if (tally !== undefined) tally.localBytes += lengthBytes;
  }

  /** @param parentId empty for the source */
  pieceFailed(peer: Peer, parentId: string, parent: Peer | undefined): void {
    const tally = this.#tallies.get(peer);
    if (tally === undefined) return;
    tally.pieceFailures += 1;
    const share = parentId === '' ? undefined : shareOf(tally, parentId, parent?.host.id ?? '');
    if (share !== undefined) share.failures += 1;
  }

  /** The download is over, whatever its peer's state says about how; a second call is nothing. */
  ended(peer: Peer, description: string): void {
    const tally = this.#tallies.get(peer);
    if (tally === undefined || this.sink === undefined) return;
    this.#tallies.delete(peer);
    const { task, host } = peer;
    const result = endOf(peer);
    this.sink.add({
      endedAtMs: Math.floor(this.nowMs()),
      startedAtMs: Math.floor(peer.createdAtMs),
      taskId: task.id,
      peerId: peer.id,
      hostId: host.id,
      hostname: host.facts.hostname,
      ip: host.facts.ip,
      idc: host.facts.idc,
      isSeed: host.facts.isSeed,
      taskType: task.kind.toUpperCase().replaceAll('-', '_'),
      url: withoutSecrets(task.facts.url),
      application: cut(task.facts.application),
      tag: cut(task.facts.tag),
      result,
      description: cut(description),
      contentLengthBytes: task.contentLengthBytes ?? 0,
      sourceBytes: tally.sourceBytes,
      peerBytes: tally.peerBytes,
      seedBytes: tally.seedBytes,
      localBytes: tally.localBytes,
      crossIdcBytes: tally.crossIdcBytes,
      pieceFailures: tally.pieceFailures,
      strategy: peer.strategyLabel,
      parents: largest(tally.parents),
    });
  }
}

function endOf(peer: Peer): DownloadEnd {
  if (peer.state === 'Succeeded') return 'succeeded';
  return peer.state === 'Failed' ? 'failed' : 'abandoned';
}

function shareOf(tally: Tally, peerId: string, hostId: string): Share | undefined {
  let share = tally.parents.get(peerId);
  if (share === undefined && tally.parents.size < MAX_TALLIED_PARENTS) {
    share = { hostId, bytes: 0, pieces: 0, failures: 0 };
    tally.parents.set(peerId, share);
  }
  return share;
}

function largest(parents: ReadonlyMap<string, Share>): ParentShare[] {
  return Array.from(parents, ([peerId, share]) => ({ peerId, ...share }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, MAX_RECORDED_PARENTS);
}

function withoutSecrets(text: string): string {
  const url = URL.parse(text);
  if (url === null) return '';
  return cut(`${url.protocol}//${url.host}${url.pathname}`);
}

function cut(text: string): string {
  return text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH) : text;
}
