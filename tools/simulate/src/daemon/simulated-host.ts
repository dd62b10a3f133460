import type { Place } from '../network/topology.js';
import type { HostKind } from '../scenario/schema.js';

/** A download, as the hosts see it that it fetches from. */
export interface Downloader {
  readonly host: SimulatedHost;
  /** A parent has one piece more. */
  parentHasMore(latencyMs: number): void;
  /** A host that it fetches from is gone. */
  parentCrashed(host: SimulatedHost): void;
  /** Its own host has crashed. */
  crash(): void;
}

/** The pieces of one content on one host. */
export class Store {
  readonly has: Uint8Array;
  count = 0;
  /** Downloads that want to know of every new piece. */
  readonly listeners = new Set<Downloader>();

  constructor(pieceCount: number) {
    this.has = new Uint8Array(pieceCount);
  }

  get isComplete(): boolean {
    return this.count === this.has.length;
  }

  add(piece: number): void {
    if (this.has[piece] === 1) return;
    this.has[piece] = 1;
    this.count += 1;
  }
}

/** A machine with a daemon. */
export class SimulatedHost {
  isUp = true;
  uploadedBytes = 0;
  readonly stores = new Map<number, Store>();
  /** Downloads of this host that go on. */
  readonly downloads = new Set<Downloader>();
  /** Downloads that have this host as a parent. */
  readonly children = new Set<Downloader>();

  constructor(
    readonly id: string,
    readonly ip: string,
    readonly hostname: string,
    readonly isSeed: boolean,
    readonly place: Place,
    readonly kind: Pick<HostKind, 'uploadMbit' | 'downloadMbit' | 'announcedMbit' | 'damagedPieces'>,
  ) {}

  get announcedBits(): number {
    return (this.kind.announcedMbit ?? this.kind.uploadMbit) * 1e6;
  }

  storeOf(task: number, pieceCount: number): Store {
    let store = this.stores.get(task);
    if (store === undefined) {
      store = new Store(pieceCount);
      this.stores.set(task, store);
    }
    return store;
  }
}
