import { commonV2, msToDuration } from '@dragonfly/proto';
import type { Host, HostFacts, Peer, PieceFacts, Task } from '@dragonfly/scheduling';
import { shownUrl } from './shown-url.js';
import { SIZE_SCOPE_NUMBERS } from '@dragonfly/ids';

/** Content length on the wire of a task whose length nobody knows. */
export const UNKNOWN_CONTENT_LENGTH = 2n ** 64n - 1n;

/** HostType on the wire of a host that is no seed. */
export const NORMAL_HOST_TYPE = 0;

/** What scheduling looks at of an announced host. */
export function hostFactsOf(host: commonV2.Host): HostFacts {
  return {
    isSeed: host.type !== NORMAL_HOST_TYPE,
    hostname: host.hostname,
    ip: host.ip,
    port: host.port,
    isSharingDisabled: host.disableShared,
    idc: host.network?.idc ?? '',
    location: host.network?.location ?? '',
    maxTxBitsPerSecond: Number(host.network?.maxTxBandwidth ?? 0n),
  };
}

/** Hosts as they announced themselves, for answers that name them whole. */
export class AnnouncedHosts {
  readonly #hosts = new WeakMap<Host, { readonly full: commonV2.Host; readonly asParent: commonV2.Host }>();

  /** Remembers an announcement; parts that this one leaves out keep their last value. */
  set(host: Host, announced: commonV2.Host): void {
    const before = this.#hosts.get(host)?.full;
    const full: commonV2.Host = {
      ...announced,
      cpu: announced.cpu ?? before?.cpu,
      memory: announced.memory ?? before?.memory,
      network: announced.network ?? before?.network,
      disk: announced.disk ?? before?.disk,
      build: announced.build ?? before?.build,
    };
    this.#hosts.set(host, { full, asParent: { ...full, cpu: undefined, memory: undefined, disk: undefined } });
  }

  full(host: Host): commonV2.Host {
    return this.#hosts.get(host)?.full ?? bareHost(host);
  }

  /** Without the figures that a child has no use for; one object per announcement. */
  asParent(host: Host): commonV2.Host {
    return this.#hosts.get(host)?.asParent ?? bareHost(host);
  }
}

/**
 * Parents as an answer names them: everything a child looks at. Pieces are left out, and the request headers too: they
 * may hold another user's credentials.
 */
export function parentRecords(parents: readonly Peer[], hosts: AnnouncedHosts): commonV2.Peer[] {
  const [first] = parents;
  if (first === undefined) return [];
  const task: commonV2.Task = { ...taskFields(first.task), requestHeader: {} };
  return parents.map((peer) => peerFields(peer, hosts.asParent(peer.host), task, []));
}

/** A peer as StatPeer shows it. */
export function peerRecord(peer: Peer, hosts: AnnouncedHosts): commonV2.Peer {
  const pieces: commonV2.Piece[] = [];
  for (const number of peer.pieces) {
    const facts = peer.task.sourcePieces.get(number);
    if (facts !== undefined) pieces.push(pieceRecord(facts));
  }
  return peerFields(peer, hosts.full(peer.host), taskRecord(peer.task), pieces);
}

/** A task as StatTask shows it; of headers that hold credentials only the names. */
export function taskRecord(task: Task): commonV2.Task {
  return {
    ...taskFields(task),
    requestHeader: redacted(task.facts.requestHeader),
    pieces: Array.from(task.sourcePieces.values(), pieceRecord),
  };
}

function peerFields(peer: Peer, host: commonV2.Host, task: commonV2.Task, pieces: commonV2.Piece[]): commonV2.Peer {
  return {
    id: peer.id,
    range:
      peer.range === undefined ? undefined : { start: BigInt(peer.range.start), length: BigInt(peer.range.length) },
    priority: peer.priority,
    pieces,
    cost: msToDuration(peer.costMs),
    state: peer.state,
    task,
    host,
    needBackToSource: peer.needsBackToSource,
    createdAt: new Date(peer.createdAtMs),
    updatedAt: new Date(peer.updatedAtMs),
    concurrentPieceCount: peer.concurrentPieceCount,
  };
}

function taskFields(task: Task): commonV2.Task {
  const { facts } = task;
  // What a failed source said of its length is not worth passing on.
  const isKnown = task.contentLengthBytes !== undefined && task.state !== 'Failed';
  return {
    id: task.id,
    type: task.kind === 'cache' ? commonV2.TaskType.CACHE : commonV2.TaskType.STANDARD,
    url: shownUrl(facts.url),
    digest: facts.digest || undefined,
    tag: facts.tag || undefined,
    application: facts.application || undefined,
    filteredQueryParams: [...facts.filteredQueryParams],
    requestHeader: { ...facts.requestHeader },
    contentLength: isKnown ? BigInt(task.contentLengthBytes ?? 0) : UNKNOWN_CONTENT_LENGTH,
    pieceCount: isKnown ? task.pieceCount : 0,
    sizeScope: SIZE_SCOPE_NUMBERS[isKnown ? task.sizeScope : 'unknown'],
    pieces: [],
    state: task.state,
    peerCount: task.peers.size,
    hasAvailablePeer: task.offerable.length > 0,
    createdAt: new Date(task.createdAtMs),
    updatedAt: new Date(task.updatedAtMs),
  };
}

function pieceRecord(piece: PieceFacts): commonV2.Piece {
  return {
    number: piece.number,
    offset: BigInt(piece.offsetBytes),
    length: BigInt(piece.lengthBytes),
    digest: piece.digest,
    trafficType: commonV2.TrafficType.BACK_TO_SOURCE,
    cost: msToDuration(piece.costMs),
    createdAt: new Date(piece.createdAtMs),
  };
}

function bareHost(host: Host): commonV2.Host {
  const { facts } = host;
  return commonV2.Host.fromPartial({
    id: host.id,
    type: facts.isSeed ? 1 : NORMAL_HOST_TYPE,
    hostname: facts.hostname,
    ip: facts.ip,
    port: facts.port,
    downloadPort: facts.port,
    disableShared: facts.isSharingDisabled,
  });
}

/** Request headers whose values are nobody's business but the source's, `PRIVATE-TOKEN` and `api-key` among them. */
const CREDENTIAL_HEADERS = /authori[sz]ation|cookie|token|secret|passw|credential|signature|(^|[-_])api-?key|[-_]key$/i;

function redacted(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, CREDENTIAL_HEADERS.test(name) ? '***' : value]),
  );
}
