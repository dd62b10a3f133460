import type { LightOutcome, LightTraffic } from '@dragonfly/light';

/**
 * How the output came to be: by the daemon ({@link LightOutcome}), `transferred` over the socket and written here,
 * `direct` from the source by dfget itself.
 */
export type DownloadOutcome = LightOutcome | 'transferred' | 'direct';

/** A download that succeeded. */
export interface DownloadResult {
  readonly outcome: DownloadOutcome;
  /** Bytes of the output. */
  readonly contentLengthBytes: number;
  /** Empty for a direct download. */
  readonly taskId: string;
  readonly peerId: string;
  readonly traffic: LightTraffic;
}

/** What is told while a download runs. */
export interface DownloadObserver {
  /** @param contentLengthBytes null while nobody knows */
  readonly onProgress: (completedBytes: number, contentLengthBytes: number | null) => void;
}

/** The JSON of `--report`. Other programs read it: add keys, do not change any. */
export function reportOf(result: DownloadResult, costMs: number): object {
  return {
    taskId: result.taskId,
    peerId: result.peerId,
    contentLength: result.contentLengthBytes,
    costMs,
    outcome: result.outcome,
    traffic: {
      source: result.traffic.fromSource,
      seed: result.traffic.fromSeed,
      peers: result.traffic.fromPeers,
      local: result.traffic.fromLocal,
    },
  };
}
