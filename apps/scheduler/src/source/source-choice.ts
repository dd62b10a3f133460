import { byteSize } from '@dragonfly/config';
import { z } from 'zod';
import type { OriginLimits } from './origin-budget.js';

/** Hosts that may read one source at a time, at the most that can be asked for. */
export const MAX_READERS = 16;

const wholeNumber = z.coerce.number().int();

/** What a cluster may say in place of `scheduler.sourceLease` of its schedulers' own configuration. */
export const sourceOverrideSchema = z.object({
  readers: wholeNumber.min(1, `must be 1..${MAX_READERS}`).max(MAX_READERS, `must be 1..${MAX_READERS}`).optional(),
  /** A second, of all readers of one origin; a number of bytes or a size such as 8MiB; 0 = no limit. */
  originBandwidthLimit: z.union([z.number().int().min(0), byteSize()]).optional(),
  /** Of all readers of one origin; 0 = no limit. */
  originConcurrentRequests: wholeNumber.min(0, 'must be 0 or more').optional(),
});
export type SourceOverride = z.infer<typeof sourceOverrideSchema>;

/** What holds for sources now. */
export interface SourceChoice extends OriginLimits {
  /** Hosts that may read one source at a time. */
  readonly readers: number;
}

/** The scheduler's own configuration, where the cluster says nothing. */
export function chosenSource(own: Required<SourceOverride>, override: SourceOverride | undefined): SourceChoice {
  return {
    readers: override?.readers ?? own.readers,
    bytesPerSecond: override?.originBandwidthLimit ?? own.originBandwidthLimit,
    concurrentRequests: override?.originConcurrentRequests ?? own.originConcurrentRequests,
  };
}
