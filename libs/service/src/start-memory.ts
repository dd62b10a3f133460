import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Logger } from '@dragonfly/telemetry';

/** How long a process must have had next to nothing to do. */
export const CALM_MS = 5000;
/** Most of that time that its main thread may have been busy: announcements and answers to probes are less. */
const CALM_UTILIZATION = 0.05;
const MIB = 1024 * 1024;

/** V8 and the clock; tests give their own. */
export interface StartMemoryEnvironment {
  /** How much of the time since the last call the main thread was busy, 0 … 1. */
  utilization(): number;
  /** Collects all garbage and gives the memory back to the system. Nothing else runs meanwhile. */
  collect(): void;
}

/**
 * Gives back, once, what only the start needed: sources, syntax trees and code of modules that have done their part are
 * 20 to 40 MiB a service (docs/PERFORMANCE.md). V8 would do so by itself, but only for a process that sleeps; one that
 * announces itself every few seconds never sleeps enough. The process stands still for a fifth of a second, so this waits
 * until it has nothing to do.
 *
 * @param signal ends the waiting
 */
export function releaseStartMemory(
  log: Pick<Logger, 'debug'>,
  signal: AbortSignal,
  environment: StartMemoryEnvironment = realEnvironment(),
): void {
  const timer = setInterval(() => {
    if (environment.utilization() > CALM_UTILIZATION) return;
    clearInterval(timer);
    const before = process.memoryUsage.rss();
    environment.collect();
    const after = process.memoryUsage.rss();
    log.debug(
      { beforeMib: Math.round(before / MIB), afterMib: Math.round(after / MIB) },
      'gave back what the start needed',
    );
  }, CALM_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

function realEnvironment(): StartMemoryEnvironment {
  let last = performance.eventLoopUtilization();
  return {
    utilization: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    collect: collectAllGarbage,
  };
}

/** Collects whatever nothing refers to, compiled code that was not used lately included. */
export function collectAllGarbage(): void {
  // V8 lends its collector to contexts that are made while the flag is set, and to no other.
  setFlagsFromString('--expose-gc');
  const collector = runInNewContext('gc') as NodeJS.GCFunction | undefined;
  setFlagsFromString('--no-expose-gc');
  collector?.({ type: 'major', flavor: 'last-resort' });
}
