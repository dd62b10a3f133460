import type { TaskKind } from './task-types.js';

/** A task that neither finished nor failed may still be wanted by a download elsewhere in the process, for this long. */
const UNFINISHED_GRACE_MS = 24 * 60 * 60 * 1000;

export interface GcPolicy {
  /** Of standard and cache tasks, since their last use. */
  readonly taskTtlMs: number;
  /** Of persistent tasks without an own time to live, since they were made. */
  readonly persistentTaskTtlMs: number;
  readonly persistentCacheTaskTtlMs: number;
  /** What own content may take, in bytes; 0 = go by how full the file system is. */
  readonly diskThresholdBytes: number;
  /** Eviction for space begins at this share of the disk (or threshold), 1 … 99. */
  readonly highPercent: number;
  /** And ends at this one. */
  readonly lowPercent: number;
}

export interface EvictionCandidate {
  readonly kind: TaskKind;
  readonly id: string;
  readonly storedBytes: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly isFinished: boolean;
  readonly hasFailed: boolean;
  readonly isInUse: boolean;
  /** Kept whatever the disk says. */
  readonly isPersistent: boolean;
  readonly ttlMs?: number;
}

export type EvictionReason = 'expired' | 'disk-space';

export interface Eviction {
  readonly kind: TaskKind;
  readonly id: string;
  readonly reason: EvictionReason;
}

export interface EvictionDecision {
  readonly evict: readonly Eviction[];
  /** Of the disk (or threshold) before the eviction, 0 … 100 and above. */
  readonly usagePercent: number;
  /** What could not be freed although it should: everything left is in use or must be kept. */
  readonly shortBytes: number;
}

/**
 * Decides what goes; touches nothing.
 *
 * Expired tasks go first: standard and cache ones unused for `taskTtlMs`, persistent ones older than their own (or the
 * policy's) time to live. Then, when the disk is at `highPercent` or above, the longest unused go until it is at
 * `lowPercent`: those finished, failed or older than 24 h, and never what is marked persistent. A task in use stays.
 */
export function decideEvictions(
  candidates: readonly EvictionCandidate[],
  usage: { readonly usedBytes: number; readonly freeBytes: number; readonly totalBytes: number },
  policy: GcPolicy,
  nowMs: number,
): EvictionDecision {
  const free = candidates.filter((candidate) => !candidate.isInUse);
  const expired = free.filter((candidate) => isExpired(candidate, policy, nowMs));
  const evict: Eviction[] = expired.map(({ kind, id }) => ({ kind, id, reason: 'expired' }));
  const expiredBytes = sumOf(expired);

  const disk = diskOf(usage, policy);
  const usagePercent = disk.totalBytes === 0 ? 0 : (100 * disk.usedBytes) / disk.totalBytes;
  const percentAfterExpiry = disk.totalBytes === 0 ? 0 : (100 * (disk.usedBytes - expiredBytes)) / disk.totalBytes;
  if (percentAfterExpiry < policy.highPercent) return { evict, usagePercent, shortBytes: 0 };

  let toFree = (disk.totalBytes * (percentAfterExpiry - policy.lowPercent)) / 100;
  const gone = new Set(expired);
  const oldestFirst = free
    .filter((candidate) => !gone.has(candidate) && mayGoForSpace(candidate, nowMs))
    .sort((a, b) => a.updatedAtMs - b.updatedAtMs);
  for (const candidate of oldestFirst) {
    if (toFree <= 0) break;
    evict.push({ kind: candidate.kind, id: candidate.id, reason: 'disk-space' });
    toFree -= candidate.storedBytes;
  }
  return { evict, usagePercent, shortBytes: Math.max(0, Math.ceil(toFree)) };
}

function isExpired(candidate: EvictionCandidate, policy: GcPolicy, nowMs: number): boolean {
  switch (candidate.kind) {
    case 'standard':
    case 'cache':
      return candidate.updatedAtMs + policy.taskTtlMs < nowMs;
    case 'persistent':
      return candidate.createdAtMs + (candidate.ttlMs ?? policy.persistentTaskTtlMs) < nowMs;
    case 'persistent-cache':
      return candidate.createdAtMs + (candidate.ttlMs ?? policy.persistentCacheTaskTtlMs) < nowMs;
  }
}

function mayGoForSpace(candidate: EvictionCandidate, nowMs: number): boolean {
  if (candidate.isPersistent) return false;
  return candidate.isFinished || candidate.hasFailed || candidate.createdAtMs + UNFINISHED_GRACE_MS < nowMs;
}

function diskOf(
  usage: { readonly usedBytes: number; readonly freeBytes: number; readonly totalBytes: number },
  policy: GcPolicy,
): { usedBytes: number; totalBytes: number } {
  // With a threshold only own bytes count: what others keep on the volume is not ours to make room for.
  if (policy.diskThresholdBytes > 0) return { usedBytes: usage.usedBytes, totalBytes: policy.diskThresholdBytes };
  return { usedBytes: usage.totalBytes - usage.freeBytes, totalBytes: usage.totalBytes };
}

function sumOf(candidates: readonly EvictionCandidate[]): number {
  return candidates.reduce((sum, candidate) => sum + candidate.storedBytes, 0);
}
