import type { Peer } from '@dragonfly/scheduling';
import type { DownloadEnd, DownloadRecord } from './download-record.js';
import { DownloadTally, type TalliedParent } from './download-tally.js';

/** Free text in a record is cut. */
const MAX_TEXT_LENGTH = 1_024;

/** Where records go. Must not block and must not throw. */
export interface RecordSink {
  add(record: DownloadRecord): void;
}

/** What a record says beside what its tally has summed up. */
export type DownloadFacts = Omit<DownloadRecord, keyof ReturnType<DownloadTally['sums']> | 'endedAtMs'>;

/** Adds up what each running download gets from whom, and writes it down when the download ends. */
export class DownloadRecorder {
  readonly #tallies = new Map<Peer, DownloadTally>();

  constructor(
    private readonly nowMs: () => number,
    private readonly sink: RecordSink | undefined,
  ) {}

  /** Downloads of standard and cache tasks under way. */
  get openCount(): number {
    return this.#tallies.size;
  }

  /** The tally of a download whose peer is not one of this scheduler's memory; undefined when nothing is recorded. */
  open(idc: string): DownloadTally | undefined {
    return this.sink === undefined ? undefined : new DownloadTally(idc);
  }

  /** Writes the record of a download that has ended. */
  write(tally: DownloadTally, facts: DownloadFacts): void {
    this.sink?.add({
      endedAtMs: Math.floor(this.nowMs()),
      ...facts,
      startedAtMs: Math.floor(facts.startedAtMs),
      url: withoutSecrets(facts.url),
      application: cut(facts.application),
      tag: cut(facts.tag),
      description: cut(facts.description),
      ...tally.sums(),
    });
  }

  started(peer: Peer): void {
    const tally = this.open(peer.host.facts.idc);
    if (tally !== undefined) this.#tallies.set(peer, tally);
  }

  /** @param parent undefined for a piece from the source, or from a parent that is not known any more */
  pieceFinished(peer: Peer, parent: TalliedParent | undefined, isFromSource: boolean, lengthBytes: number): void {
    this.#tallies.get(peer)?.pieceFinished(parent, isFromSource, lengthBytes);
  }

  /** The host had the piece already. */
  pieceFound(peer: Peer, lengthBytes: number): void {
    this.#tallies.get(peer)?.pieceFound(lengthBytes);
  }

  /** @param parentId empty for the source */
  pieceFailed(peer: Peer, parentId: string, parent: Peer | undefined): void {
    this.#tallies.get(peer)?.pieceFailed(parentId, parent?.host.id ?? '');
  }

  /** The download is over, whatever its peer's state says about how; a second call is nothing. */
  ended(peer: Peer, description: string): void {
    const tally = this.#tallies.get(peer);
    if (tally === undefined) return;
    this.#tallies.delete(peer);
    const { task, host } = peer;
    this.write(tally, {
      startedAtMs: peer.createdAtMs,
      taskId: task.id,
      peerId: peer.id,
      hostId: host.id,
      hostname: host.facts.hostname,
      ip: host.facts.ip,
      idc: host.facts.idc,
      isSeed: host.facts.isSeed,
      taskType: task.kind === 'cache' ? 'CACHE' : 'STANDARD',
      url: task.facts.url,
      application: task.facts.application,
      tag: task.facts.tag,
      result: endOf(peer),
      description,
      contentLengthBytes: task.contentLengthBytes ?? 0,
      strategy: peer.strategyLabel,
    });
  }
}

function endOf(peer: Peer): DownloadEnd {
  if (peer.state === 'Succeeded') return 'succeeded';
  return peer.state === 'Failed' ? 'failed' : 'abandoned';
}

function withoutSecrets(text: string): string {
  const url = URL.parse(text);
  if (url === null) return '';
  return cut(`${url.protocol}//${url.host}${url.pathname}`);
}

function cut(text: string): string {
  return text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH) : text;
}
