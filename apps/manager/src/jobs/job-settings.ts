import type { AllowedAddressKind } from '@dragonfly/registry';

/** The `job:` section as the jobs use it. */
export interface JobSettings {
  /** Addresses that registries, indexes and webhooks may have beside global ones. */
  readonly allowedAddresses: readonly AllowedAddressKind[];
  /** Ranges that are allowed whatever their kind. */
  readonly allowedRanges: readonly string[];
  /** Without a slash at the end. */
  readonly huggingFaceEndpoint: string;
  readonly syncPeersIntervalMs: number;
  readonly syncPeersTimeoutMs: number;
  readonly meteringIntervalMs: number;
}
