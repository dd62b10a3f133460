/** Figures of the original's scheduler: its defaults. Times in ms. */
export const ORIGINAL_FIGURES = {
  /** Tries after which a peer is sent to the source, as long as the task has room there. */
  retryBackToSourceLimit: 4,
  /** Tries after which a peer is refused. */
  retryLimit: 5,
  /** Between two tries: uniformly 0.75 to 1.25 times this. */
  retryIntervalMs: 500,
  /** Peers of a task at the source; one more is possible. */
  backToSourceCount: 200,
  candidateParentLimit: 3,
  filterParentLimit: 15,
  /** A registration of a host that is no seed waits d/2 + random × d, d = this × 2^registrations of the host under way. */
  registerDelayMs: 30,
  maxRegisterDelayMs: 1000,
  /** Seeds are looked at this often, for the first time after as long. */
  seedProbeIntervalMs: 30_000,
  seedProbeTimeoutMs: 2000,
  /** A seed that has failed a task is not asked for it again for this long. */
  seedFailureMemoryMs: 30 * 60_000,
  keepAliveIntervalMs: 5000,
  /** What a preheat is given when it names none. */
  preheatTimeoutMs: 60 * 60_000,
  concurrentTaskCount: 8,
  concurrentPeerCount: 500,
} as const;

export type OriginalFigures = { readonly [Name in keyof typeof ORIGINAL_FIGURES]: number };
