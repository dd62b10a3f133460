import { Resource, type JsonObject } from './entities.js';

/**
 * A group of users and tokens that sees and uses only some clusters and applications. Users of no tenant are not
 * limited. A table of ours: the original has no tenants.
 */
export class TenantEntity extends Resource {
  name: string;
  bio: string | null;
  /** `enable` or `disable`; members of a disabled tenant cannot sign in. */
  state: string;
  schedulerClusterIds: number[];
  /** Names; `*` among them = every application, an empty list = none. */
  applications: string[];
  /** `{clusters, users, personal_access_tokens, applications, running_jobs, requests_per_second, jobs_per_minute}`; absent = unlimited. */
  limits: JsonObject;
}

/** Which tenant a user belongs to: at most one. */
export class TenantMemberEntity {
  userId: number;
  tenantId: number;
}

/** What a personal access token is limited to besides what its owner may. A token without a row has its owner's limits. */
export class TokenLimitEntity {
  tokenId: number;
  /** `{scheduler_cluster_ids, applications}`; an absent list does not limit. */
  limits: JsonObject;
}

/** What an OAuth provider that is neither GitHub nor Google needs besides its row in `oauth`. */
export class OauthProviderEntity {
  oauthId: number;
  /** Issuer URL of an OpenID provider. */
  issuer: string;
  /** Asked for besides `openid`. */
  scopes: string[];
}

/** Which account belongs to whom at an OAuth provider. */
export class OauthIdentityEntity {
  id: number;
  /** Name of the provider in `oauth`. */
  provider: string;
  /** The provider's own id of the person: never reused, unlike names and mail addresses. */
  subject: string;
  userId: number;
  createdAt: Date | null;
}
