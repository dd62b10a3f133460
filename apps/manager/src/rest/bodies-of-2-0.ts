/**
 * Bodies as automation for Dragonfly 2.0.8 sends them, in the form of today. What says nothing in today's form
 * (`parallel_count`, `net_topology`) is left out by the schema that reads them.
 */

type Body = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Body | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : undefined;
}

/**
 * Create and update of a scheduler cluster: `filter_parent_limit` was what `candidate_parent_limit` is, and
 * `filter_parent_range_limit` what `filter_parent_limit` is; there was no `seed_client_config`.
 * A body without `filter_parent_range_limit` is one of today.
 */
export function schedulerClusterOf20(body: unknown): unknown {
  const cluster = asObject(body);
  const config = asObject(cluster?.['config']);
  if (!cluster || !config || !('filter_parent_range_limit' in config)) return body;
  const { filter_parent_range_limit: range, filter_parent_limit: limit, ...rest } = config;
  return {
    seed_client_config: {},
    ...cluster,
    config: { candidate_parent_limit: limit, ...rest, filter_parent_limit: range },
  };
}

/** Seed peers were `super`, `strong` or `weak`; only the first is left, and does the work of all. */
export function seedPeerOf20(body: unknown): unknown {
  const peer = asObject(body);
  return peer && (peer['type'] === 'strong' || peer['type'] === 'weak') ? { ...peer, type: 'super' } : body;
}

/** Preheats named the query parameters that do not count `filter`. */
export function preheatOf20(body: unknown): unknown {
  const job = asObject(body);
  const args = asObject(job?.['args']);
  if (!job || !args || typeof args['filter'] !== 'string' || args['filtered_query_params']) return body;
  const { filter, ...rest } = args;
  return { ...job, args: { ...rest, filtered_query_params: filter } };
}
