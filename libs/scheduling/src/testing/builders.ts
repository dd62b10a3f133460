import { asHostId, asPeerId, asTaskId } from '@dragonfly/ids';
import type { Clock } from '../clock.js';
import { Host, type HostFacts } from '../host.js';
import { ParentScheduler } from '../parent-scheduler.js';
import { noSeeds } from '../seed-gateway.js';
import type { PeerEvent, PeerState } from '../states.js';
import { defaultStrategy } from '../strategy.js';
import { Peer, type PeerInit, Task, type TaskFacts } from '../task.js';

let serial = 0;

/** Time of everything that a builder makes, where a test does not care. */
export const SOME_TIME_MS = 1_700_000_000_000;

/** A normal host with a gigabit of upload, unlike all others by default. */
export function aHost(facts: Partial<HostFacts> = {}, id?: string): Host {
  serial += 1;
  const ip = `10.0.${Math.floor(serial / 250)}.${(serial % 250) + 1}`;
  return new Host(
    asHostId(id ?? `${ip}-host-${serial}`),
    {
      isSeed: false,
      hostname: `host-${serial}`,
      ip,
      port: 4000,
      isSharingDisabled: false,
      idc: '',
      location: '',
      maxTxBitsPerSecond: 1_000_000_000,
      ...facts,
    },
    SOME_TIME_MS,
  );
}

/** A task of ten pieces of 4 MiB. */
export function aTask(
  content: { readonly contentLengthBytes?: number | undefined; readonly pieceLengthBytes?: number } = {},
  facts: Partial<TaskFacts> = {},
): Task {
  serial += 1;
  const task = new Task(
    asTaskId(`task-${serial}`),
    {
      url: 'http://origin/file',
      tag: '',
      application: '',
      digest: '',
      filteredQueryParams: [],
      requestHeader: {},
      ...facts,
    },
    SOME_TIME_MS,
  );
  task.pieceLengthBytes = content.pieceLengthBytes ?? 4 * 1024 * 1024;
  task.contentLengthBytes = 'contentLengthBytes' in content ? content.contentLengthBytes : 10 * task.pieceLengthBytes;
  task.pieceCount = Math.ceil((task.contentLengthBytes ?? 0) / task.pieceLengthBytes);
  return task;
}

/** Events that lead to a state. */
const PATHS: Readonly<Record<PeerState, readonly PeerEvent[]>> = {
  Pending: [],
  ReceivedEmpty: ['RegisterEmpty'],
  ReceivedTiny: ['RegisterTiny'],
  ReceivedSmall: ['RegisterSmall'],
  ReceivedNormal: ['RegisterNormal'],
  Running: ['RegisterNormal', 'Download'],
  BackToSource: ['RegisterNormal', 'DownloadBackToSource'],
  Succeeded: ['RegisterNormal', 'Download', 'DownloadSucceeded'],
  Failed: ['DownloadFailed'],
  Leave: ['Leave'],
};

export interface PeerTraits extends Partial<Omit<PeerInit, 'id'>> {
  readonly id?: string;
  /** @default 'ReceivedNormal' */
  readonly state?: PeerState;
  /** Pieces 0 … n-1 are finished. @default 0 */
  readonly pieceCount?: number;
}

/** A peer in a task and on a host of its own, registered there. */
export function aPeer(traits: PeerTraits = {}): Peer {
  serial += 1;
  const peer = new Peer(
    {
      ...traits,
      id: asPeerId(traits.id ?? `peer-${serial}`),
      task: traits.task ?? aTask(),
      host: traits.host ?? aHost(),
    },
    SOME_TIME_MS,
  );
  peer.task.addPeer(peer);
  for (const event of PATHS[traits.state ?? 'ReceivedNormal']) peer.apply(event, SOME_TIME_MS);
  for (let number = 0; number < (traits.pieceCount ?? 0); number++) peer.pieces.add(number);
  peer.task.refreshOfferable(peer);
  return peer;
}

/** A scheduler without seeds, by the default strategy and with the limits of the original; close it. */
export function aParentScheduler(clock: Clock): ParentScheduler {
  return new ParentScheduler({
    clock,
    random: () => 0.5,
    seeds: noSeeds,
    limits: () => ({ candidateParentLimit: 3, filterParentLimit: 15, peerUploadLimit: 200, seedUploadLimit: 2000 }),
    strategyFor: () => defaultStrategy,
    sourceLimits: { stallTimeoutMs: 60_000, waitTimeoutMs: 25_000, unusableHolderWaitMs: 2000, backToSourceCount: 1 },
  });
}
