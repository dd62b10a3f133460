import type { JobEntity, JsonObject, SchedulerClusterEntity, SeedPeerClusterEntity } from '@dragonfly/persistence';
import { z } from 'zod';
import { bodyType } from '../rest/answers.js';
import { jsonTime } from '../rest/json-time.js';
import {
  schedulerClusterBody,
  SchedulerClusterBody,
  seedPeerClusterBody,
  SeedPeerClusterBody,
} from '../rest/resource-bodies.js';
import { baseFields, json } from '../rest/shared-bodies.js';
import { UserBody, ZERO_USER } from '../users/user-bodies.js';

/** A job as the REST API shows it. */
export interface JobBody {
  id: number;
  created_at: string;
  updated_at: string;
  is_del: number;
  task_id: string;
  bio: string;
  type: string;
  /** PENDING, SUCCESS or FAILURE; what else the original names is never seen there either. */
  state: string;
  args: JsonObject;
  result: JsonObject | null;
  user_id: number;
  user: UserBody;
  seed_peer_clusters: SeedPeerClusterBody[] | null;
  scheduler_clusters: SchedulerClusterBody[] | null;
}

export const JobBody: z.ZodType<JobBody> = bodyType(
  'Job',
  z.object({
    ...baseFields,
    task_id: z.string(),
    bio: z.string(),
    type: z.string(),
    state: z.string(),
    args: json(),
    result: json().nullable(),
    user_id: z.int(),
    user: UserBody,
    seed_peer_clusters: z.array(SeedPeerClusterBody).nullable(),
    scheduler_clusters: z.array(SchedulerClusterBody).nullable(),
  }),
);

export function jobBody(
  row: JobEntity,
  loaded: {
    schedulerClusters?: readonly SchedulerClusterEntity[];
    seedPeerClusters?: readonly SeedPeerClusterEntity[];
  } = {},
): JobBody {
  return {
    id: row.id,
    created_at: jsonTime(row.createdAt),
    updated_at: jsonTime(row.updatedAt),
    is_del: row.isDel,
    task_id: row.taskId,
    bio: row.bio ?? '',
    type: row.type ?? '',
    state: row.state,
    args: row.args,
    result: Object.keys(row.result).length === 0 ? null : row.result,
    user_id: row.userId ?? 0,
    user: ZERO_USER,
    seed_peer_clusters: loaded.seedPeerClusters?.map((cluster) => seedPeerClusterBody(cluster)) ?? null,
    scheduler_clusters: loaded.schedulerClusters?.map((cluster) => schedulerClusterBody(cluster)) ?? null,
  };
}
