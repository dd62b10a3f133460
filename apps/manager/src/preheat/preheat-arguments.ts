import { DEFAULT_FILTERED_QUERY_PARAMS } from '@dragonfly/ids';
import type { JsonObject } from '@dragonfly/persistence';
import type { PreheatArgs } from '../jobs/job-requests.js';
import type { PreheatScope } from '../jobs/dispatch/scheduler-work.js';

const DEFAULT_TIMEOUT_MS = 3_600_000;
const MAX_TIMEOUT_MS = 24 * 3_600_000;
export const DEFAULT_CONCURRENT_TASKS = 8;
export const DEFAULT_CONCURRENT_PEERS = 500;

/** Nanoseconds of an argument in ms; absent = 60 min, at most a day. */
export function timeoutMsOf(timeoutNs: number | undefined): number {
  return timeoutNs ? Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.round(timeoutNs / 1e6))) : DEFAULT_TIMEOUT_MS;
}

/** Names joined with `&`; without any, those that signatures and mirrors use. */
export function filteredParamsOf(text: string | undefined): string[] {
  return text ? text.split('&').filter((name) => name !== '') : [...DEFAULT_FILTERED_QUERY_PARAMS];
}

export function scopeOf(args: PreheatArgs): PreheatScope {
  const { scope } = args;
  switch (scope) {
    case 'all_seed_peers':
    case 'all_peers':
      return scope;
    default:
      return 'single_seed_peer';
  }
}

/** URLs of a file preheat: the list, then the single one, as the original has it. */
export function urlsOf(args: PreheatArgs): string[] {
  return [...(args.urls ?? []), ...(args.url ? [args.url] : [])].filter((url) => url !== '');
}

/** The arguments as the row and the API show them: every key, in the alphabet's order, with the defaults. */
export function shownPreheatArgs(args: PreheatArgs): JsonObject {
  const all: JsonObject = {
    application: args.application ?? '',
    concurrent_peer_count: args.concurrent_peer_count ?? DEFAULT_CONCURRENT_PEERS,
    concurrent_task_count: args.concurrent_task_count ?? DEFAULT_CONCURRENT_TASKS,
    count: args.count ?? null,
    filtered_query_params: args.filtered_query_params || DEFAULT_FILTERED_QUERY_PARAMS.join('&'),
    hdfs: args.hdfs ?? null,
    headers: args.headers ?? null,
    ips: args.ips ?? null,
    object_storage: args.object_storage ?? null,
    password: args.password ?? '',
    percentage: args.percentage ?? null,
    piece_length: args.piece_length ?? null,
    platform: args.platform ?? '',
    ...(args.enable_task_id_based_blob_digest === undefined
      ? {}
      : { enable_task_id_based_blob_digest: args.enable_task_id_based_blob_digest }),
    ...(args.platforms ? { platforms: args.platforms } : {}),
    ...(args.recursive === undefined ? {} : { recursive: args.recursive }),
    scope: scopeOf(args),
    tag: args.tag ?? '',
    timeout: args.timeout ?? DEFAULT_TIMEOUT_MS * 1e6,
    type: args.type,
    url: args.url ?? '',
    urls: args.urls ?? null,
    username: args.username ?? '',
  };
  return all;
}
