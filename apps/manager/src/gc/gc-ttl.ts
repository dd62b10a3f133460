export type GcType = 'audit' | 'job';

/** What the row `gc` of the table `config` says when it says nothing, in ns. */
const DEFAULT_TTL_NS: Readonly<Record<GcType, number>> = {
  job: 6 * 3_600_000_000_000,
  audit: 7 * 24 * 3_600_000_000_000,
};
const FORM = 'must be JSON as {"audit":{"ttl":604800000000000},"job":{"ttl":21600000000000}}, in nanoseconds';

/** How long jobs or audit entries are kept, in ns. @throws SyntaxError for a text that is no JSON */
export function gcTtlNs(value: string | undefined, type: GcType): number {
  const ttl = ttlIn(JSON.parse(value ?? '{}'), type);
  return typeof ttl === 'number' && ttl > 0 ? ttl : DEFAULT_TTL_NS[type];
}

/** What is wrong with a value: a wrong one would quietly be the default, and delete what somebody meant to keep. */
export function gcTtlProblem(value: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    return FORM;
  }
  const isFine = (type: GcType): boolean => {
    const ttl = ttlIn(parsed, type);
    return ttl === undefined || (typeof ttl === 'number' && ttl > 0);
  };
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  return isObject && isFine('audit') && isFine('job') ? undefined : FORM;
}

/** The value as it stands there; undefined when the part is missing. */
function ttlIn(parsed: unknown, type: GcType): unknown {
  const part = (parsed as Partial<Record<GcType, { ttl?: unknown } | null>> | null)?.[type];
  return part === undefined ? undefined : (part?.ttl ?? null);
}
