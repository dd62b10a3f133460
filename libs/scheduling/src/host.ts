import type { HostId } from '@dragonfly/ids';

/** What a host says about itself and scheduling looks at. */
export interface HostFacts {
  readonly isSeed: boolean;
  readonly hostname: string;
  /** IPv4 or IPv6 without brackets. */
  readonly ip: string;
  /** Port of its gRPC service. */
  readonly port: number;
  /** A host that does not share is never offered as a parent. */
  readonly isSharingDisabled: boolean;
  /** Data centre; empty when unknown. */
  readonly idc: string;
  /** Elements separated by `|`, widest first; empty when unknown. */
  readonly location: string;
  /** What it can send, in bits per second; 0 when it does not say. */
  readonly maxTxBitsPerSecond: number;
}

/** What one edge to a child puts on the parent's host; kept with the child so that exactly it is taken off again. */
export interface EdgeLoad {
  /** Most that the child asks for at once: piece length × concurrent pieces × 8. */
  readonly peakBits: number;
  readonly pieceCount: number;
  readonly contentBytes: number;
}

let lastVersion = 0;

function nextVersion(): number {
  lastVersion = (lastVersion % MAX_VERSION) + 1;
  return lastVersion;
}

/** A small integer for the engine; hosts that announce ten thousand times a second need a day to come round. */
const MAX_VERSION = 2 ** 30;

/** A machine that has announced itself, with what this scheduler believes it is uploading. */
export class Host {
  #facts: HostFacts;
  #version = nextVersion();
  /** Time between its announcements in milliseconds; 0 = it never expires. */
  announceIntervalMs = 0;
  updatedAtMs: number;
  readonly createdAtMs: number;

  /** Children given to it, ever. */
  uploadCount = 0;
  /** Children that reported a failed piece from it, ever. */
  uploadFailedCount = 0;
  /** Children that have it as a parent now. */
  concurrentUploadCount = 0;
  /** Sum of the peaks of its children, in bits per second as the announced bandwidth. */
  txBits = 0;
  concurrentUploadPieceCount = 0;
  uploadContentBytes = 0;

  constructor(
    readonly id: HostId,
    facts: HostFacts,
    nowMs: number,
  ) {
    this.#facts = facts;
    this.createdAtMs = nowMs;
    this.updatedAtMs = nowMs;
  }

  get facts(): HostFacts {
    return this.#facts;
  }

  set facts(facts: HostFacts) {
    this.#facts = facts;
    this.#version = nextVersion();
  }

  /** Of this host saying these facts: no other host has it, nor this one with other facts. */
  get version(): number {
    return this.#version;
  }

  addUpload(load: EdgeLoad): void {
    this.uploadCount += 1;
    this.concurrentUploadCount += 1;
    this.txBits += load.peakBits;
    this.concurrentUploadPieceCount += load.pieceCount;
    this.uploadContentBytes += load.contentBytes;
  }

  removeUpload(load: EdgeLoad): void {
    this.concurrentUploadCount = Math.max(0, this.concurrentUploadCount - 1);
    this.txBits = Math.max(0, this.txBits - load.peakBits);
    this.concurrentUploadPieceCount = Math.max(0, this.concurrentUploadPieceCount - load.pieceCount);
    this.uploadContentBytes = Math.max(0, this.uploadContentBytes - load.contentBytes);
  }
}
