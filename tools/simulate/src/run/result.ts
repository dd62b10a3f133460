/** What one run of one scenario with one strategy came to. Everything but `timing` is the same in every run. */
export interface RunResult {
  readonly scenario: string;
  readonly strategy: string;
  readonly seed: number;
  readonly hosts: number;
  readonly downloads: {
    readonly total: number;
    readonly succeeded: number;
    /** Did not end within the scenario's deadline. */
    readonly unfinished: number;
    /** Cut off by a crash of their host; they were begun again when it came back. */
    readonly cutOff: number;
  };
  /** From the first arrival to the last completion. */
  readonly makespanSeconds: number;
  readonly lowerBoundSeconds: number;
  readonly boundBecause: string;
  /** From a host's arrival to its completion. */
  readonly completionSeconds: { readonly mean: number; readonly p50: number; readonly p99: number };
  /** Bytes that left the source ÷ size of all contents that somebody wanted. */
  readonly sourceRatio: number;
  readonly crossIdcGib: number;
  readonly wastedGib: number;
  /** Jain's index of the bytes that each normal host has sent. */
  readonly uploadFairness: number;
  /** Parts of all bytes that arrived intact. */
  readonly shareFrom: { readonly source: number; readonly seeds: number; readonly peers: number };
  readonly decisions: number;
  /** Sorted completion times at even distances, for plots. */
  readonly completionCurve: readonly number[];
  readonly timing: RunTiming;
}

/** What depends on the machine. */
export interface RunTiming {
  readonly wallSeconds: number;
  /** In the scheduler's own code: sessions, state, decisions, metrics. */
  readonly schedulerSeconds: number;
  readonly messages: number;
  /** Answers ÷ time in those calls of the scheduler that answered somebody: message to message. */
  readonly decisionsPerSecond: number;
  /** Heap that the scheduler and the model hold at the end, after a collection, less what was held before. */
  readonly heapMib: number;
  readonly peakRssMib: number;
}
