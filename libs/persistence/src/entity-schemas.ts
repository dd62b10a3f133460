import { EntitySchema, type EntitySchemaIndexOptions, type EntitySchemaOptions } from 'typeorm';
import { certificateEntitySchemas } from './certificate-entity-schemas.js';
import { accessSchemas } from './access-schemas.js';
import { Columns, type Dialect } from './columns.js';
import {
  ApplicationEntity,
  AuditEntity,
  CasbinRuleEntity,
  ClusterLinkEntity,
  ConfigEntity,
  JobEntity,
  JobSchedulerClusterEntity,
  JobSeedPeerClusterEntity,
  OauthEntity,
  PeerEntity,
  PersonalAccessTokenEntity,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
  UserEntity,
} from './entities.js';
import { fenceEntitySchemas } from './fence.js';
import { jobEntitySchemas } from './job-entity-schemas.js';

const OPTIONAL = { nullable: true } as const;

function unique(name: string, ...columns: string[]): EntitySchemaIndexOptions {
  return { name, columns, unique: true };
}

function table<T extends object>(
  tableName: string,
  target: new () => T,
  content: Pick<EntitySchemaOptions<T>, 'columns' | 'indices'>,
): EntitySchema<T> {
  return new EntitySchema<T>({ name: target.name, tableName, target, ...content });
}

/** The entity schemas in the column types of one dialect. */
export function entitySchemas(dialect: Dialect): EntitySchema[] {
  const c = new Columns(dialect);
  const hostColumns = {
    hostName: c.varchar('host_name', 256),
    idc: c.varchar('idc', 1024, OPTIONAL),
    location: c.varchar('location', 1024, OPTIONAL),
    ip: c.varchar('ip', 256),
    port: c.int('port'),
    state: c.varchar('state', 256, { nullable: true, default: 'inactive' }),
  };
  return [
    table('user', UserEntity, {
      columns: {
        ...c.resource(),
        email: c.varchar('email', 256),
        name: c.varchar('name', 256),
        encryptedPassword: c.varchar('encrypted_password', 1024, OPTIONAL),
        avatar: c.varchar('avatar', 256, OPTIONAL),
        phone: c.varchar('phone', 256, OPTIONAL),
        privateToken: c.varchar('private_token', 256, OPTIONAL),
        state: c.varchar('state', 256, { nullable: true, default: 'enable' }),
        location: c.varchar('location', 256, OPTIONAL),
        bio: c.varchar('bio', 256, OPTIONAL),
      },
      indices: [unique('uk_user_email', 'email'), unique('uk_user_name', 'name')],
    }),
    table('oauth', OauthEntity, {
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        bio: c.varchar('bio', 1024, OPTIONAL),
        clientId: c.varchar('client_id', 256),
        clientSecret: c.varchar('client_secret', 1024),
        redirectUrl: c.varchar('redirect_url', 1024, OPTIONAL),
      },
      indices: [unique('uk_oauth2_client_id', 'clientId'), unique('uk_oauth2_name', 'name')],
    }),
    table('scheduler_cluster', SchedulerClusterEntity, {
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        bio: c.varchar('bio', 1024, OPTIONAL),
        config: c.json('config'),
        clientConfig: c.json('client_config'),
        seedClientConfig: c.json('seed_client_config'),
        scopes: c.json('scopes', OPTIONAL),
        isDefault: c.boolean('is_default'),
      },
      indices: [unique('uk_scheduler_cluster_name', 'name')],
    }),
    table('seed_peer_cluster', SeedPeerClusterEntity, {
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        bio: c.varchar('bio', 1024, OPTIONAL),
        config: c.json('config'),
      },
      indices: [unique('uk_seed_peer_cluster_name', 'name')],
    }),
    table('seed_peer_cluster_scheduler_cluster', ClusterLinkEntity, {
      columns: {
        schedulerClusterId: c.bigUnsigned('scheduler_cluster_id', { primary: true }),
        seedPeerClusterId: c.bigUnsigned('seed_peer_cluster_id', { primary: true }),
      },
    }),
    table('scheduler', SchedulerEntity, {
      columns: {
        ...c.resource(),
        ...hostColumns,
        config: c.json('config', OPTIONAL),
        features: c.jsonList('features', OPTIONAL),
        lastKeepAliveAt: c.dateTime('last_keep_alive_at'),
        schedulerClusterId: c.bigUnsigned('scheduler_cluster_id'),
      },
      indices: [unique('uk_scheduler', 'hostName', 'ip', 'schedulerClusterId')],
    }),
    table('seed_peer', SeedPeerEntity, {
      columns: {
        ...c.resource(),
        ...hostColumns,
        type: c.varchar('type', 256, OPTIONAL),
        downloadPort: c.int('download_port'),
        objectStoragePort: c.int('object_storage_port', OPTIONAL),
        seedPeerClusterId: c.bigUnsigned('seed_peer_cluster_id'),
      },
      indices: [unique('uk_seed_peer', 'hostName', 'ip', 'seedPeerClusterId')],
    }),
    table('peer', PeerEntity, {
      columns: {
        ...c.resource(),
        ...hostColumns,
        type: c.varchar('type', 256, OPTIONAL),
        downloadPort: c.int('download_port'),
        proxyPort: c.int('proxy_port'),
        objectStoragePort: c.int('object_storage_port', OPTIONAL),
        os: c.varchar('os', 256, OPTIONAL),
        platform: c.varchar('platform', 256, OPTIONAL),
        platformFamily: c.varchar('platform_family', 256, OPTIONAL),
        platformVersion: c.varchar('platform_version', 256, OPTIONAL),
        kernelVersion: c.varchar('kernel_version', 256, OPTIONAL),
        gitVersion: c.varchar('git_version', 256, OPTIONAL),
        gitCommit: c.varchar('git_commit', 256, OPTIONAL),
        buildPlatform: c.varchar('build_platform', 256, OPTIONAL),
        schedulerClusterId: c.bigUnsigned('scheduler_cluster_id'),
      },
      indices: [
        { name: 'idx_peer_git_commit', columns: ['gitCommit'] },
        { name: 'idx_peer_git_version', columns: ['gitVersion'] },
        { name: 'idx_peer_type', columns: ['type'] },
        { name: 'idx_peer_is_del', columns: ['isDel'] },
        unique('uk_peer', 'hostName', 'ip', 'schedulerClusterId'),
      ],
    }),
    table('application', ApplicationEntity, {
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        url: c.longText('url'),
        bio: c.varchar('bio', 1024, OPTIONAL),
        priority: c.json('priority'),
        userId: c.bigUnsigned('user_id', OPTIONAL),
      },
      indices: [unique('uk_application_name', 'name')],
    }),
    table('config', ConfigEntity, {
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        value: c.varchar('value', 1024),
        bio: c.varchar('bio', 1024, OPTIONAL),
        userId: c.bigUnsigned('user_id', OPTIONAL),
      },
      indices: [unique('uk_config_name', 'name')],
    }),
    table('job', JobEntity, {
      columns: {
        ...c.resource(),
        taskId: c.varchar('task_id', 256),
        bio: c.varchar('bio', 1024, OPTIONAL),
        type: c.varchar('type', 256, OPTIONAL),
        state: c.varchar('state', 256, { default: 'PENDING' }),
        args: c.json('args'),
        result: c.json('task_result', OPTIONAL),
        userId: c.bigUnsigned('user_id', OPTIONAL),
      },
    }),
    table('job_scheduler_cluster', JobSchedulerClusterEntity, {
      columns: {
        schedulerClusterId: c.bigUnsigned('scheduler_cluster_id', { primary: true }),
        jobId: c.bigUnsigned('job_id', { primary: true }),
      },
    }),
    table('job_seed_peer_cluster', JobSeedPeerClusterEntity, {
      columns: {
        seedPeerClusterId: c.bigUnsigned('seed_peer_cluster_id', { primary: true }),
        jobId: c.bigUnsigned('job_id', { primary: true }),
      },
    }),
    table('personal_access_token', PersonalAccessTokenEntity, {
      columns: {
        ...c.resource(),
        name: c.varchar('name', 256),
        bio: c.varchar('bio', 1024, OPTIONAL),
        token: c.varchar('token', 256),
        scopes: c.jsonList('scopes'),
        state: c.varchar('state', 256, { nullable: true, default: 'inactive' }),
        expiredAt: c.timestamp('expired_at'),
        userId: c.bigUnsigned('user_id', OPTIONAL),
      },
      indices: [unique('uk_personal_access_token', 'token'), unique('uk_personal_access_token_name', 'name')],
    }),
    table('audit', AuditEntity, {
      columns: {
        ...c.resource(),
        actorType: c.varchar('actor_type', 256),
        actorName: c.varchar('actor_name', 256),
        eventType: c.varchar('event_type', 100),
        operation: c.varchar('operation', 256),
        operatedAt: c.timestamp('operated_at', OPTIONAL),
        state: c.varchar('state', 100),
        path: c.varchar('path', 1024, OPTIONAL),
        statusCode: c.big('status_code', OPTIONAL),
        detail: c.json('detail', OPTIONAL),
      },
    }),
    table('casbin_rule', CasbinRuleEntity, {
      columns: {
        id: c.id(),
        ptype: c.varchar('ptype', 100, OPTIONAL),
        v0: c.varchar('v0', 100, OPTIONAL),
        v1: c.varchar('v1', 100, OPTIONAL),
        v2: c.varchar('v2', 100, OPTIONAL),
        v3: c.varchar('v3', 100, OPTIONAL),
        v4: c.varchar('v4', 100, OPTIONAL),
        v5: c.varchar('v5', 100, OPTIONAL),
      },
    }),
    ...jobEntitySchemas(c),
    ...certificateEntitySchemas(c),
    ...fenceEntitySchemas(c),
    ...accessSchemas(c),
  ];
}
