/**
 * Rows of the manager's tables. Table and column names are those of the original manager, so that either can take over
 * the database of the other; the mapping to columns is in `entity-schemas.ts`.
 *
 * There are no relations here and no foreign keys in the tables (as in the original): what belongs together is read by
 * explicit queries, and deletes say which link rows they take along.
 */

/** Content of a JSON column that holds an object. */
export type JsonObject = Record<string, unknown>;

/** What every resource has. */
export abstract class Resource {
  /** Assigned by the database; below 2^53. */
  id: number;
  createdAt: Date | null;
  updatedAt: Date | null;
  /** Soft delete mark of the original: 1 hides the row everywhere. We delete for good and only ever write 0. */
  isDel = 0;
}

export class UserEntity extends Resource {
  email: string;
  name: string;
  /** bcrypt, `$2a$` or `$2b$`. */
  encryptedPassword: string | null;
  avatar: string | null;
  phone: string | null;
  privateToken: string | null;
  state: string | null;
  location: string | null;
  bio: string | null;
}

export class OauthEntity extends Resource {
  name: string;
  bio: string | null;
  clientId: string;
  clientSecret: string;
  redirectUrl: string | null;
}

export class SchedulerClusterEntity extends Resource {
  name: string;
  bio: string | null;
  config: JsonObject;
  clientConfig: JsonObject;
  seedClientConfig: JsonObject;
  scopes: JsonObject;
  isDefault: boolean;
}

export class SeedPeerClusterEntity extends Resource {
  name: string;
  bio: string | null;
  config: JsonObject;
}

/** Which seed peer clusters serve which scheduler clusters. */
export class ClusterLinkEntity {
  schedulerClusterId: number;
  seedPeerClusterId: number;
}

export class SchedulerEntity extends Resource {
  config: JsonObject;
  hostName: string;
  idc: string | null;
  location: string | null;
  ip: string;
  port: number;
  /** `active` or `inactive`. */
  state: string | null;
  features: string[];
  lastKeepAliveAt: Date | null;
  schedulerClusterId: number;
}

export class SeedPeerEntity extends Resource {
  hostName: string;
  type: string | null;
  idc: string | null;
  location: string | null;
  ip: string;
  port: number;
  downloadPort: number;
  objectStoragePort: number | null;
  /** `active` or `inactive`. */
  state: string | null;
  seedPeerClusterId: number;
}

export class PeerEntity extends Resource {
  hostName: string;
  type: string | null;
  idc: string | null;
  location: string | null;
  ip: string;
  port: number;
  downloadPort: number;
  proxyPort: number;
  objectStoragePort: number | null;
  state: string | null;
  os: string | null;
  platform: string | null;
  platformFamily: string | null;
  platformVersion: string | null;
  kernelVersion: string | null;
  gitVersion: string | null;
  gitCommit: string | null;
  buildPlatform: string | null;
  schedulerClusterId: number;
}

export class ApplicationEntity extends Resource {
  name: string;
  url: string;
  bio: string | null;
  /** `{value, urls: [{regex, value}]}`. */
  priority: JsonObject;
  userId: number | null;
}

export class ConfigEntity extends Resource {
  name: string;
  value: string;
  bio: string | null;
  userId: number | null;
}

export class JobEntity extends Resource {
  taskId: string;
  bio: string | null;
  type: string | null;
  state: string;
  args: JsonObject;
  result: JsonObject;
  userId: number | null;
}

export class JobSchedulerClusterEntity {
  schedulerClusterId: number;
  jobId: number;
}

export class JobSeedPeerClusterEntity {
  seedPeerClusterId: number;
  jobId: number;
}

export class PersonalAccessTokenEntity extends Resource {
  name: string;
  bio: string | null;
  token: string;
  /** `job`, `cluster`. */
  scopes: string[];
  state: string | null;
  expiredAt: Date;
  userId: number | null;
}

export class AuditEntity extends Resource {
  actorType: string;
  actorName: string;
  eventType: string;
  operation: string;
  operatedAt: Date | null;
  state: string;
  path: string | null;
  statusCode: number | null;
  detail: JsonObject;
}

/** `ptype` p: v0 role, v1 object, v2 action; `ptype` g: v0 user id as text, v1 role. */
export class CasbinRuleEntity {
  id: number;
  ptype: string | null;
  v0: string | null;
  v1: string | null;
  v2: string | null;
  v3: string | null;
  v4: string | null;
  v5: string | null;
}
