import type { JobEntity, JsonObject, SchedulerClusterEntity, SeedPeerClusterEntity } from '@dragonfly/persistence';
import { jsonTime } from '../rest/json-time.js';
import {
  schedulerClusterBody,
  type SchedulerClusterBody,
  seedPeerClusterBody,
  type SeedPeerClusterBody,
} from '../rest/resource-bodies.js';

/** An account that the answer does not load: all zero, as clients of the original have it. */
const ZERO_USER = {
  id: 0,
  created_at: jsonTime(null),
  updated_at: jsonTime(null),
  is_del: 0,
  email: '',
  name: '',
  avatar: '',
  phone: '',
  state: '',
  location: '',
  bio: '',
  configs: null,
};

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
  user: typeof ZERO_USER;
  seed_peer_clusters: SeedPeerClusterBody[] | null;
  scheduler_clusters: SchedulerClusterBody[] | null;
}

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
