import type { EntityManager } from 'typeorm';
import { accessTokenHash } from './access-token-hash.js';
import type { Database } from './database.js';
import { insertRow } from './rows.js';
import {
  CasbinRuleEntity,
  ClusterLinkEntity,
  ConfigEntity,
  PersonalAccessTokenEntity,
  SchedulerClusterEntity,
  SeedPeerClusterEntity,
  UserEntity,
} from './entities.js';

/** The objects that permissions are about: first path segment after `/api/v1/`, in the original's order. */
export const PERMISSION_OBJECTS = [
  'scheduler-clusters',
  'scheduler-features',
  'schedulers',
  'seed-peer-clusters',
  'seed-peers',
  'personal-access-tokens',
  'persistent-cache-tasks',
  'permissions',
  'peers',
  'users',
  'clusters',
  'configs',
  'applications',
  'audits',
  'roles',
  'oauth',
  'jobs',
] as const;

/** Objects of ours that only root may look at: the keys to the cluster. */
export const ROOT_OBJECTS = ['join-tokens', 'certificates', 'certificate-authorities'] as const;
/** Objects of ours beside those: each the first path segment of routes that the original does not have (any more). */
export const OWN_PERMISSION_OBJECTS = ['tenants', 'buckets'] as const;

/** Every object that a permission can be about. */
export const ALL_PERMISSION_OBJECTS: readonly string[] = [...PERMISSION_OBJECTS, ...OWN_PERMISSION_OBJECTS];

/** Name of the first account. */
export const ROOT_USER_NAME = 'root';

const DAY_NS = 86_400_000_000_000;
const HOUR_NS = 3_600_000_000_000;
const TEN_YEARS_MS = 10 * 365 * 86_400_000;

export interface DefaultRows {
  /** Makes the hash of the root password; called only when the root user has to be made. */
  rootPasswordHash: () => Promise<string>;
  /** A personal access token for automation that must exist from the start. */
  personalAccessToken?: string;
  now?: () => Date;
}

/**
 * Writes the rows that a fresh manager has: cluster 1 with its seed peer cluster, the gc configuration, user root, and
 * the policies of the roles root and guest. Rows that are there stay as they are; several managers may do this at the
 * same time. Source: rows of the original at its first start.
 */
export async function ensureDefaultRows(database: Database, rows: DefaultRows): Promise<void> {
  // Hashing takes a while: not inside the transaction.
  const hasRoot = await database.manager.existsBy(UserEntity, { name: ROOT_USER_NAME });
  const rootPasswordHash = hasRoot ? undefined : await rows.rootPasswordHash();
  const now = (rows.now ?? (() => new Date()))();
  await database.exclusively(() =>
    database.transaction(async (manager) => {
      await ensureClusters(manager, now);
      await ensureGcConfig(manager, now);
      const rootId = await ensureRoot(manager, rootPasswordHash, now);
      await ensurePolicies(manager, rootId);
      if (rows.personalAccessToken) {
        await ensureToken(manager, rows.personalAccessToken, rootId, now);
      }
    }),
  );
}

async function ensureClusters(manager: EntityManager, now: Date): Promise<void> {
  const makesSchedulerCluster = (await manager.count(SchedulerClusterEntity)) === 0;
  const makesSeedPeerCluster = (await manager.count(SeedPeerClusterEntity)) === 0;
  if (makesSchedulerCluster) {
    await insertRow(manager, SchedulerClusterEntity, now, {
      id: 1,
      name: 'cluster-1',
      bio: '',
      config: { candidate_parent_limit: 3, filter_parent_limit: 15, job_rate_limit: 10 },
      clientConfig: { load_limit: 200 },
      seedClientConfig: {},
      scopes: {},
      isDefault: true,
    });
  }
  if (makesSeedPeerCluster) {
    await insertRow(manager, SeedPeerClusterEntity, now, {
      id: 1,
      name: 'cluster-1',
      bio: '',
      config: { load_limit: 2000 },
    });
  }
  if (makesSchedulerCluster && makesSeedPeerCluster) {
    await manager.insert(ClusterLinkEntity, { schedulerClusterId: 1, seedPeerClusterId: 1 });
  }
}

async function ensureGcConfig(manager: EntityManager, now: Date): Promise<void> {
  if (await manager.existsBy(ConfigEntity, { name: 'gc' })) {
    return;
  }
  await insertRow(manager, ConfigEntity, now, {
    name: 'gc',
    value: JSON.stringify({ audit: { ttl: 7 * DAY_NS }, job: { ttl: 6 * HOUR_NS } }),
    bio: '',
    userId: 0,
  });
}

async function ensureRoot(manager: EntityManager, hash: string | undefined, now: Date): Promise<number> {
  const existing = await manager.findOneBy(UserEntity, { name: ROOT_USER_NAME });
  if (existing) {
    return existing.id;
  }
  return insertRow(manager, UserEntity, now, {
    email: '',
    name: ROOT_USER_NAME,
    encryptedPassword: hash ?? null,
    avatar: '',
    phone: '',
    privateToken: '',
    state: 'enable',
    location: '',
    bio: '',
  });
}

async function ensurePolicies(manager: EntityManager, rootId: number): Promise<void> {
  const wanted = [
    ...ALL_PERMISSION_OBJECTS.flatMap((object) => [
      { ptype: 'p', v0: 'root', v1: object, v2: '*' },
      { ptype: 'p', v0: 'guest', v1: object, v2: 'read' },
    ]),
    ...ROOT_OBJECTS.map((object) => ({ ptype: 'p', v0: 'root', v1: object, v2: '*' })),
    { ptype: 'g', v0: String(rootId), v1: 'root', v2: '' },
  ];
  const keyOf = (rule: { ptype: string | null; v0: string | null; v1: string | null; v2: string | null }): string =>
    JSON.stringify([rule.ptype, rule.v0, rule.v1, rule.v2 ?? '']);
  const present = new Set((await manager.find(CasbinRuleEntity)).map(keyOf));
  const missing = wanted.filter((rule) => !present.has(keyOf(rule)));
  if (missing.length > 0) {
    await manager.insert(
      CasbinRuleEntity,
      missing.map((rule) => ({ ...rule, v3: '', v4: '', v5: '' })),
    );
  }
}

async function ensureToken(manager: EntityManager, clear: string, userId: number, now: Date): Promise<void> {
  const token = accessTokenHash(clear);
  if (await manager.existsBy(PersonalAccessTokenEntity, [{ name: 'default' }, { token }, { token: clear }])) {
    return;
  }
  await insertRow(manager, PersonalAccessTokenEntity, now, {
    name: 'default',
    bio: '',
    token,
    scopes: ['job', 'cluster'],
    state: 'active',
    expiredAt: new Date(now.getTime() + TEN_YEARS_MS),
    userId,
  });
}
