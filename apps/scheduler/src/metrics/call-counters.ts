import { Counter, type Registry } from 'prom-client';

/** Begins every name. */
export const PREFIX = 'dragonfly_scheduler_';

/** A call and its failures. */
export interface CallCounters {
  readonly total: Counter;
  readonly failure: Counter;
}

/**
 * `<name>_total` and its failures.
 * @param help without the final dot
 * @param failureName whole name of the failures, where it does not follow from the other
 */
export function callCounters(
  registry: Registry,
  name: string,
  help: string,
  failureName = `${name}_failure_total`,
): CallCounters {
  return {
    total: new Counter({ name: `${PREFIX}${name}_total`, help: `${help}.`, registers: [registry] }),
    failure: new Counter({ name: PREFIX + failureName, help: `${help} that failed.`, registers: [registry] }),
  };
}

/** Counts a call, and its failure when it throws. */
export async function counted<Result>(
  counters: CallCounters,
  call: () => Result | Promise<Result>,
): Promise<Awaited<Result>> {
  counters.total.inc();
  try {
    return await call();
  } catch (error) {
    counters.failure.inc();
    throw error;
  }
}
