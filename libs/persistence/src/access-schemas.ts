import { EntitySchema } from 'typeorm';
import {
  OauthIdentityEntity,
  OauthProviderEntity,
  TenantEntity,
  TenantMemberEntity,
  TokenLimitEntity,
} from './access-entities.js';
import type { Columns } from './columns.js';

const OPTIONAL = { nullable: true } as const;

/** Entity schemas of tenants and of what OAuth providers and tokens need besides the original's tables. */
export function accessSchemas(c: Columns): EntitySchema[] {
  return [
    new EntitySchema<TenantEntity>({
      name: TenantEntity.name,
      tableName: 'dragonfly_tenant',
      target: TenantEntity,
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        bio: c.varchar('bio', 1024, OPTIONAL),
        state: c.varchar('state', 32),
        schedulerClusterIds: c.jsonList('scheduler_cluster_ids'),
        applications: c.jsonList('applications'),
        limits: c.json('limits'),
      },
      indices: [{ name: 'uk_dragonfly_tenant_name', columns: ['name'], unique: true }],
    }),
    new EntitySchema<TenantMemberEntity>({
      name: TenantMemberEntity.name,
      tableName: 'dragonfly_tenant_member',
      target: TenantMemberEntity,
      columns: {
        userId: c.bigUnsigned('user_id', { primary: true }),
        tenantId: c.bigUnsigned('tenant_id'),
      },
      indices: [{ name: 'idx_dragonfly_tenant_member_tenant', columns: ['tenantId'] }],
    }),
    new EntitySchema<TokenLimitEntity>({
      name: TokenLimitEntity.name,
      tableName: 'dragonfly_token_limit',
      target: TokenLimitEntity,
      columns: {
        tokenId: c.bigUnsigned('token_id', { primary: true }),
        limits: c.json('limits'),
      },
    }),
    new EntitySchema<OauthProviderEntity>({
      name: OauthProviderEntity.name,
      tableName: 'dragonfly_oauth_provider',
      target: OauthProviderEntity,
      columns: {
        oauthId: c.bigUnsigned('oauth_id', { primary: true }),
        issuer: c.varchar('issuer', 1024),
        scopes: c.jsonList('scopes'),
      },
    }),
    new EntitySchema<OauthIdentityEntity>({
      name: OauthIdentityEntity.name,
      tableName: 'dragonfly_oauth_identity',
      target: OauthIdentityEntity,
      columns: {
        id: c.id(),
        provider: c.varchar('provider', 64),
        subject: c.varchar('subject', 255),
        userId: c.bigUnsigned('user_id'),
        createdAt: c.dateTime('created_at'),
      },
      indices: [{ name: 'uk_dragonfly_oauth_identity', columns: ['provider', 'subject'], unique: true }],
    }),
  ];
}
