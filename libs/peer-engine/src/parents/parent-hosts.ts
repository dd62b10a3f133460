import { hostPort, readStream, type SharedClient, type SharedClients } from '@dragonfly/rpc';
import type { commonV2, dfdaemonV2 } from '@dragonfly/proto';
import type { Logger } from '@dragonfly/telemetry';
import { parentWeight, type ParentBandwidth } from './parent-weight.js';
import { SilenceWatch } from './silence-watch.js';

/** A host that sent load samples and then none for this long is taken for dead (they come every second). */
const SILENCE_MS = 5000;
/** The first sample comes with the answer to the call; one who accepts connections and answers nothing is no parent. */
const FIRST_SAMPLE_MS = 3000;

/** A host that this daemon fetches from, for as long as somebody does. */
export interface ParentHost {
  /** Worth of asking it now; see `parentWeight`. */
  weight(): number;
  /** Whether it has stopped to say anything, or has been asked for samples and never sent one. To be asked every second. */
  isSilent(): boolean;
  /** It said or sent something, by whatever way. */
  heard(): void;
  pieceStarted(): void;
  pieceEnded(): void;
  /** To be called exactly once. */
  release(): void;
}

/** Loads of the hosts that are parents of running downloads. */
export interface ParentHosts {
  acquire(host: commonV2.Host, peerId: string): ParentHost;
}

interface Entry {
  users: number;
  inFlight: number;
  bandwidth: ParentBandwidth | undefined;
  /** Undefined once its stream of samples has ended: it may have none. */
  silence: SilenceWatch | undefined;
  readonly stop: AbortController;
}

/** Follows the load of each parent host over one SyncHost stream, shared by all downloads. */
export class SyncedParentHosts implements ParentHosts {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly connections: SharedClients<dfdaemonV2.DfdaemonUploadClient>,
    private readonly hostId: string,
    private readonly log: Logger,
  ) {}

  acquire(host: commonV2.Host, peerId: string): ParentHost {
    const entry = this.entries.get(host.id) ?? this.open(host, peerId);
    entry.users += 1;
    return {
      weight: () => parentWeight(entry.bandwidth, entry.inFlight),
      isSilent: () => entry.silence?.isSilent() ?? false,
      heard: () => {
        entry.silence?.heard(SILENCE_MS);
      },
      pieceStarted: () => {
        entry.inFlight += 1;
      },
      pieceEnded: () => {
        entry.inFlight -= 1;
      },
      release: () => {
        entry.users -= 1;
        if (entry.users > 0) return;
        entry.stop.abort();
        if (this.entries.get(host.id) === entry) this.entries.delete(host.id);
      },
    };
  }

  private open(host: commonV2.Host, peerId: string): Entry {
    const entry: Entry = {
      users: 0,
      inFlight: 0,
      bandwidth: bandwidthOf(host.network),
      silence: new SilenceWatch(FIRST_SAMPLE_MS),
      stop: new AbortController(),
    };
    this.entries.set(host.id, entry);
    void this.follow(host, peerId, entry);
    return entry;
  }

  private async follow(host: commonV2.Host, peerId: string, entry: Entry): Promise<void> {
    let connection: SharedClient<dfdaemonV2.DfdaemonUploadClient> | undefined;
    try {
      // Throws for an address that is none: it is the word of a scheduler, and nothing that may end the process.
      connection = this.connections.acquire(hostPort(host.ip, host.port));
      const call = connection.client.syncHost({ hostId: this.hostId, peerId });
      for await (const sample of readStream<commonV2.Host>(call, { signal: entry.stop.signal })) {
        entry.bandwidth = bandwidthOf(sample.network) ?? entry.bandwidth;
        entry.silence?.heard(SILENCE_MS);
      }
    } catch (error) {
      // Weights are advice: without samples the announced bandwidth goes on to serve.
      if (!entry.stop.signal.aborted) this.log.debug({ parent: host.id, err: error }, 'no load samples of a parent');
    } finally {
      entry.silence = undefined;
      connection?.release();
    }
  }
}

function bandwidthOf(network: commonV2.Network | undefined): ParentBandwidth | undefined {
  if (network === undefined) return undefined;
  return {
    maxTxBitsPerSecond: Number(network.maxTxBandwidth),
    txBitsPerSecond: Number(network.txBandwidth ?? 0n),
  };
}
