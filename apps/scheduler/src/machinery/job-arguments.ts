import { DfError } from '@dragonfly/errors';
import { commonV2 } from '@dragonfly/proto';
import { z } from 'zod';
import {
  DEFAULT_CONCURRENT_PEER_COUNT,
  DEFAULT_CONCURRENT_TASK_COUNT,
  DEFAULT_JOB_TIMEOUT_MS,
  type JobSpec,
  MAX_DOWNLOADS,
} from '../jobs/job-spec.js';
import { taskIdOfDownload } from '../jobs/task-ids.js';
import { scopeOfText } from '../preheat/preheat-requests.js';
import type { MachineryMessage } from './machinery-message.js';

// Go writes null for what is not there: lists, maps and pointers.
const text = z.string().nullish();
const texts = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
const count = z.number().int().min(1).nullish();
/** Go durations are nanoseconds. */
const timeoutMs = z
  .number()
  .nullish()
  .transform((nanoseconds) => (nanoseconds && nanoseconds > 0 ? Math.ceil(nanoseconds / 1e6) : DEFAULT_JOB_TIMEOUT_MS));
/** Fields of a protobuf message as Go's encoding/json writes them, snake_case, or as protobuf JSON does, camelCase. */
const protobufFields = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((fields) =>
    fields == null
      ? undefined
      : Object.fromEntries(
          Object.entries(fields).map(([name, value]) => [
            name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
            value,
          ]),
        ),
  );

const preheatArguments = z.object({
  url: text,
  urls: texts,
  pieceLength: z.number().int().min(1).nullish(),
  tag: text,
  application: text,
  filtered_query_params: text,
  headers: z.record(z.string(), z.string()).nullish(),
  priority: z.number().int().min(0).max(6).nullish(),
  scope: text,
  ips: texts,
  count,
  percentage: z.number().int().min(1).max(100).nullish(),
  concurrent_task_count: count,
  concurrent_peer_count: count,
  certificate_chain: z
    .array(z.base64())
    .nullish()
    .transform((list) => (list ?? []).map((encoded) => Buffer.from(encoded, 'base64'))),
  timeout: timeoutMs,
  object_storage: protobufFields,
  hdfs: protobufFields,
  output_path: text,
});

const taskArguments = z.object({
  task_id: z.string().min(1),
  timeout: timeoutMs,
  concurrent_peer_count: count,
});

/** A job as it came in a message, ready to run. */
export interface MachineryJob {
  readonly spec: JobSpec;
  readonly timeoutMs: number;
}

/** How long the list of hosts may take. */
const SYNC_PEERS_TIMEOUT_MS = 60_000;

/** @throws DfError `invalid-argument` naming what is wrong, `unimplemented` for an unknown name */
export function jobOfMessage({ name, argument }: MachineryMessage): MachineryJob {
  switch (name) {
    case 'preheat':
      return preheatOf(parse(preheatArguments, argument));
    case 'get_task':
    case 'delete_task': {
      const args = parse(taskArguments, argument);
      return {
        spec: {
          kind: name === 'get_task' ? 'get-task' : 'delete-task',
          taskId: args.task_id,
          concurrentPeerCount: args.concurrent_peer_count ?? DEFAULT_CONCURRENT_PEER_COUNT,
        },
        timeoutMs: args.timeout,
      };
    }
    case 'sync_peers':
      return { spec: { kind: 'sync-peers' }, timeoutMs: SYNC_PEERS_TIMEOUT_MS };
    default:
      throw new DfError('unimplemented', `job ${JSON.stringify(name.slice(0, 64))} is not known to this scheduler`);
  }
}

function preheatOf(args: z.infer<typeof preheatArguments>): MachineryJob {
  // The one URL comes after the many, as in the original.
  const urls = [...args.urls, args.url ?? ''].filter((url) => url !== '');
  if (urls.length === 0) throw new DfError('invalid-argument', 'url or urls is required');
  if (urls.length > MAX_DOWNLOADS) throw new DfError('invalid-argument', `urls: at most ${MAX_DOWNLOADS}`);
  const downloads = urls.map((url) =>
    commonV2.Download.fromPartial({
      url,
      pieceLength: args.pieceLength == null ? undefined : BigInt(args.pieceLength),
      tag: args.tag || undefined,
      application: args.application || undefined,
      priority: args.priority ?? 0,
      filteredQueryParams: args.filtered_query_params ? args.filtered_query_params.split('&') : [],
      requestHeader: args.headers ?? {},
      certificateChain: args.certificate_chain,
      objectStorage: args.object_storage,
      hdfs: args.hdfs,
      outputPath: args.output_path || undefined,
      timeout: { seconds: BigInt(Math.ceil(args.timeout / 1000)), nanos: 0 },
    }),
  );
  // A URL that is none is said now, not by every host.
  for (const download of downloads) taskIdOfDownload(download);
  return {
    spec: {
      kind: 'preheat',
      downloads,
      target: {
        scope: scopeOfText(args.scope ?? ''),
        ips: args.ips,
        ...(args.count == null ? {} : { count: args.count }),
        ...(args.percentage == null ? {} : { percentage: args.percentage }),
      },
      concurrentTaskCount: args.concurrent_task_count ?? DEFAULT_CONCURRENT_TASK_COUNT,
      concurrentPeerCount: args.concurrent_peer_count ?? DEFAULT_CONCURRENT_PEER_COUNT,
    },
    timeoutMs: args.timeout,
  };
}

function parse<Schema extends z.ZodType>(schema: Schema, argument: string | undefined): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(argument ?? '');
  } catch (error) {
    throw new DfError('invalid-argument', 'the argument is no JSON', { cause: error });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new DfError('invalid-argument', `argument ${issue?.path.join('.') || 'as a whole'}: ${issue?.message}`);
}
