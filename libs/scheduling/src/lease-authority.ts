/** Somebody who wants to fetch a task from its source. */
export interface SourceReader {
  readonly taskId: string;
  readonly url: string;
  /** Empty while it is not known yet which seed will fetch it. */
  readonly hostId: string;
  readonly peerId: string;
}

/** Somebody who fetches a task from its source now. */
export interface LeaseHolder {
  readonly hostId: string;
  readonly peerId: string;
}

/** A lease that was given. */
export interface LeaseHandle {
  /** Another peer, or another host, carries the same lease on. */
  passTo(holder: LeaseHolder): void;
  /** To be called once; the next claim may be granted from then on. */
  release(): void;
}

export type LeaseVerdict =
  | { readonly kind: 'granted'; readonly handle: LeaseHandle }
  /** Another host fetches the task: through another scheduler, or outside of any conversation. */
  | { readonly kind: 'taken'; readonly holder: LeaseHolder }
  /** Nobody fetches the task, but the origin serves as many readers as it may. */
  | { readonly kind: 'busy' };

/**
 * Who has the last word on source leases: beside the scheduler's own view of a task there may be other schedulers,
 * leases from before a restart, and daemons that read a source without a conversation.
 */
export interface LeaseAuthority {
  /**
   * Asks for a lease. A host that has one of the task already shares it, whichever scheduler gave it.
   * @param decide called once, in this call or later; the lease must be released also when nobody needs it any more
   */
  claim(reader: SourceReader, decide: (verdict: LeaseVerdict) => void): void;
}

/** A scheduler that has nobody to ask grants what it wants. */
export const soleAuthority: LeaseAuthority = {
  claim: (_reader, decide) => {
    decide({ kind: 'granted', handle: { passTo: () => undefined, release: () => undefined } });
  },
};
