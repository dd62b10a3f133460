import type { DfError } from '@dragonfly/errors';
import type { SchemaDifference } from '../src/schema-differences.js';
import {
  ApplicationEntity,
  AuditEntity,
  CasbinRuleEntity,
  ClusterLinkEntity,
  ConfigEntity,
  Database,
  ensureDefaultRows,
  JobEntity,
  JobSchedulerClusterEntity,
  OauthEntity,
  PeerEntity,
  PersonalAccessTokenEntity,
  SchedulerClusterEntity,
  SchedulerEntity,
  SeedPeerClusterEntity,
  SeedPeerEntity,
  UserEntity,
} from '../src/index.js';
import { engines, stopEngines } from './databases.js';

afterAll(stopEngines);

const BASE = `id bigint unsigned NOT NULL AUTO_INCREMENT, created_at datetime(3) DEFAULT NULL,
  updated_at datetime(3) DEFAULT NULL, is_del bigint unsigned DEFAULT NULL`;

/** The tables of the original manager 2.5 on MariaDB: column, type, NOT NULL, default, keys. */
const ORIGINAL_TABLES: Record<string, string> = {
  application: `${BASE}, name varchar(256) NOT NULL, url longtext NOT NULL, bio varchar(1024), priority longtext NOT NULL,
    user_id bigint unsigned, PRIMARY KEY (id), UNIQUE KEY uk_application_name (name)`,
  audit: `${BASE}, actor_type varchar(256) NOT NULL, actor_name varchar(256) NOT NULL, event_type varchar(100) NOT NULL,
    operation varchar(256) NOT NULL, operated_at timestamp NULL DEFAULT current_timestamp(), state varchar(100) NOT NULL,
    path varchar(1024), status_code bigint, detail longtext, PRIMARY KEY (id)`,
  casbin_rule: `id bigint unsigned NOT NULL AUTO_INCREMENT, ptype varchar(100), v0 varchar(100), v1 varchar(100),
    v2 varchar(100), v3 varchar(100), v4 varchar(100), v5 varchar(100), PRIMARY KEY (id)`,
  config: `${BASE}, name varchar(256) NOT NULL, value varchar(1024) NOT NULL, bio varchar(1024), user_id bigint unsigned,
    PRIMARY KEY (id), UNIQUE KEY uk_config_name (name)`,
  job: `${BASE}, task_id varchar(256) NOT NULL, bio varchar(1024), type varchar(256),
    state varchar(256) NOT NULL DEFAULT 'PENDING', args longtext NOT NULL, task_result longtext, user_id bigint unsigned,
    PRIMARY KEY (id)`,
  job_scheduler_cluster: `scheduler_cluster_id bigint unsigned NOT NULL, job_id bigint unsigned NOT NULL,
    PRIMARY KEY (scheduler_cluster_id, job_id)`,
  job_seed_peer_cluster: `seed_peer_cluster_id bigint unsigned NOT NULL, job_id bigint unsigned NOT NULL,
    PRIMARY KEY (seed_peer_cluster_id, job_id)`,
  oauth: `${BASE}, name varchar(256) NOT NULL, bio varchar(1024), client_id varchar(256) NOT NULL,
    client_secret varchar(1024) NOT NULL, redirect_url varchar(1024), PRIMARY KEY (id),
    UNIQUE KEY uk_oauth2_client_id (client_id), UNIQUE KEY uk_oauth2_name (name)`,
  peer: `${BASE}, host_name varchar(256) NOT NULL, type varchar(256), idc varchar(1024), location varchar(1024),
    ip varchar(256) NOT NULL, port int NOT NULL, download_port int NOT NULL, proxy_port int NOT NULL,
    object_storage_port int, state varchar(256) DEFAULT 'inactive', os varchar(256), platform varchar(256),
    platform_family varchar(256), platform_version varchar(256), kernel_version varchar(256), git_version varchar(256),
    git_commit varchar(256), build_platform varchar(256), scheduler_cluster_id bigint unsigned NOT NULL, PRIMARY KEY (id),
    KEY idx_peer_git_commit (git_commit), KEY idx_peer_git_version (git_version), KEY idx_peer_type (type),
    UNIQUE KEY uk_peer (host_name, ip, scheduler_cluster_id)`,
  personal_access_token: `${BASE}, name varchar(256) NOT NULL, bio varchar(1024), token varchar(256) NOT NULL,
    scopes longtext NOT NULL, state varchar(256) DEFAULT 'inactive',
    expired_at timestamp NOT NULL DEFAULT current_timestamp(), user_id bigint unsigned, PRIMARY KEY (id),
    UNIQUE KEY uk_personal_access_token (token), UNIQUE KEY uk_personal_access_token_name (name)`,
  scheduler: `${BASE}, config longtext, host_name varchar(256) NOT NULL, idc varchar(1024), location varchar(1024),
    ip varchar(256) NOT NULL, port int NOT NULL, state varchar(256) DEFAULT 'inactive', features longtext,
    last_keep_alive_at datetime(3), scheduler_cluster_id bigint unsigned NOT NULL, PRIMARY KEY (id),
    UNIQUE KEY uk_scheduler (host_name, ip, scheduler_cluster_id)`,
  scheduler_cluster: `${BASE}, name varchar(256) NOT NULL, bio varchar(1024), config longtext NOT NULL,
    client_config longtext NOT NULL, seed_client_config longtext NOT NULL, scopes longtext,
    is_default tinyint(1) NOT NULL DEFAULT 0, PRIMARY KEY (id), UNIQUE KEY uk_scheduler_cluster_name (name)`,
  seed_peer: `${BASE}, host_name varchar(256) NOT NULL, type varchar(256), idc varchar(1024), location varchar(1024),
    ip varchar(256) NOT NULL, port int NOT NULL, download_port int NOT NULL, object_storage_port int,
    state varchar(256) DEFAULT 'inactive', seed_peer_cluster_id bigint unsigned NOT NULL, PRIMARY KEY (id),
    UNIQUE KEY uk_seed_peer (host_name, ip, seed_peer_cluster_id)`,
  seed_peer_cluster: `${BASE}, name varchar(256) NOT NULL, bio varchar(1024), config longtext NOT NULL, PRIMARY KEY (id),
    UNIQUE KEY uk_seed_peer_cluster_name (name)`,
  seed_peer_cluster_scheduler_cluster: `scheduler_cluster_id bigint unsigned NOT NULL,
    seed_peer_cluster_id bigint unsigned NOT NULL, PRIMARY KEY (scheduler_cluster_id, seed_peer_cluster_id)`,
  user: `${BASE}, email varchar(256) NOT NULL, name varchar(256) NOT NULL, encrypted_password varchar(1024),
    avatar varchar(256), phone varchar(256), private_token varchar(256), state varchar(256) DEFAULT 'enable',
    location varchar(256), bio varchar(256), PRIMARY KEY (id), UNIQUE KEY uk_user_email (email),
    UNIQUE KEY uk_user_name (name)`,
};

const AT = '2025-05-05 10:00:00.123';
const STAMPS = { created_at: AT, updated_at: AT, is_del: 0 };

/** One row of every table, as the original writes them. */
const ORIGINAL_ROWS: Record<string, Record<string, unknown>[]> = {
  application: [
    { id: 3, ...STAMPS, name: 'app', url: 'x', bio: '', priority: '{"value":4,"urls":[{"regex":"a.*","value":1}]}' },
  ],
  audit: [
    {
      ...STAMPS,
      actor_type: 'USER',
      actor_name: 'root',
      event_type: 'API',
      operation: 'GET',
      operated_at: '2025-05-05 10:00:00',
      state: 'SUCCESS',
      path: '/api/v1/clusters',
      status_code: 200,
      detail: '{}',
    },
  ],
  casbin_rule: [
    { ptype: 'p', v0: 'root', v1: 'clusters', v2: '*', v3: '', v4: '', v5: '' },
    { ptype: 'p', v0: 'ops', v1: 'jobs', v2: '*', v3: '', v4: '', v5: '' },
    { ptype: 'g', v0: '1', v1: 'root', v2: '', v3: '', v4: '', v5: '' },
  ],
  config: [{ ...STAMPS, name: 'gc', value: '{"audit":{"ttl":1},"job":{"ttl":2}}', bio: '', user_id: 0 }],
  job: [
    {
      id: 9,
      ...STAMPS,
      task_id: 'group_1',
      bio: '',
      type: 'preheat',
      state: 'SUCCESS',
      args: '{"type":"file","url":"http://x/y"}',
      task_result: 'null',
      user_id: 1,
    },
  ],
  job_scheduler_cluster: [{ scheduler_cluster_id: 1, job_id: 9 }],
  oauth: [{ ...STAMPS, name: 'github', bio: '', client_id: 'c', client_secret: 's', redirect_url: 'http://x' }],
  peer: [
    {
      ...STAMPS,
      host_name: 'p',
      type: 'normal',
      ip: '10.0.0.9',
      port: 4000,
      download_port: 4001,
      proxy_port: 4003,
      state: 'active',
      scheduler_cluster_id: 1,
    },
  ],
  personal_access_token: [
    {
      ...STAMPS,
      name: 'ci',
      bio: '',
      token: 't'.repeat(64),
      scopes: '["job"]',
      state: 'active',
      expired_at: '2035-01-01 00:00:00',
      user_id: 1,
    },
  ],
  scheduler: [
    {
      ...STAMPS,
      config: '{"manager_keep_alive_interval":5000000000}',
      host_name: 's',
      idc: '',
      location: '',
      ip: '10.0.0.1',
      port: 8002,
      state: 'active',
      features: '["schedule","preheat"]',
      last_keep_alive_at: AT,
      scheduler_cluster_id: 1,
    },
  ],
  scheduler_cluster: [
    {
      id: 1,
      ...STAMPS,
      name: 'cluster-1',
      bio: 'ours',
      config: '{"candidate_parent_limit":5}',
      client_config: 'null',
      seed_client_config: '{}',
      scopes: '{"idc":"a|b","location":"","cidrs":["10.0.0.0/8"],"hostnames":[]}',
      is_default: 1,
    },
  ],
  seed_peer: [
    {
      ...STAMPS,
      host_name: 'e',
      type: 'super',
      ip: '10.0.0.2',
      port: 4000,
      download_port: 4001,
      state: 'inactive',
      seed_peer_cluster_id: 1,
    },
  ],
  seed_peer_cluster: [{ id: 1, ...STAMPS, name: 'cluster-1', bio: '', config: '{"load_limit":2000}' }],
  seed_peer_cluster_scheduler_cluster: [{ scheduler_cluster_id: 1, seed_peer_cluster_id: 1 }],
  user: [
    {
      id: 1,
      ...STAMPS,
      email: '',
      name: 'root',
      encrypted_password: '$2a$04$abcdefghijklmnopqrstuv',
      avatar: '',
      phone: '',
      private_token: '',
      state: 'enable',
      location: '',
      bio: '',
    },
  ],
};

const mariaDb = engines.filter(({ name }) => name !== 'SQLite');

(mariaDb.length > 0 ? describe.each(mariaDb) : describe.skip.each(engines))(
  'the database of an original manager on $name',
  ({ fresh }) => {
    let database: Database;

    beforeEach(async () => {
      database = await Database.open(await fresh?.());
      for (const [table, definition] of Object.entries(ORIGINAL_TABLES)) {
        await database.dataSource.query(`CREATE TABLE \`${table}\` (${definition})`);
      }
      for (const [table, rows] of Object.entries(ORIGINAL_ROWS)) {
        for (const row of rows) {
          const columns = Object.keys(row).map((column) => `\`${column}\``);
          const marks = columns.map(() => '?');
          const values = Object.values(row);
          await database.dataSource.query(
            `INSERT INTO \`${table}\` (${columns.join()}) VALUES (${marks.join()})`,
            values,
          );
        }
      }
    });
    afterEach(() => database.close());

    it('is taken over with all its rows, which read as ours do', async () => {
      await database.migrate();
      await ensureDefaultRows(database, { rootPasswordHash: () => Promise.reject(new Error('root is there')) });
      const { manager } = database;
      await expect(manager.find(UserEntity)).resolves.toMatchObject([
        { id: 1, name: 'root', encryptedPassword: '$2a$04$abcdefghijklmnopqrstuv', createdAt: new Date(`${AT}Z`) },
      ]);
      await expect(manager.find(SchedulerClusterEntity)).resolves.toMatchObject([
        {
          id: 1,
          bio: 'ours',
          config: { candidate_parent_limit: 5 },
          clientConfig: {},
          scopes: { idc: 'a|b', cidrs: ['10.0.0.0/8'] },
          isDefault: true,
        },
      ]);
      await expect(manager.find(SeedPeerClusterEntity)).resolves.toMatchObject([{ config: { load_limit: 2000 } }]);
      await expect(manager.find(ClusterLinkEntity)).resolves.toEqual([{ schedulerClusterId: 1, seedPeerClusterId: 1 }]);
      await expect(manager.find(SchedulerEntity)).resolves.toMatchObject([
        { hostName: 's', features: ['schedule', 'preheat'], config: { manager_keep_alive_interval: 5e9 } },
      ]);
      await expect(manager.find(SeedPeerEntity)).resolves.toMatchObject([{ hostName: 'e', state: 'inactive' }]);
      await expect(manager.find(PeerEntity)).resolves.toMatchObject([{ hostName: 'p', proxyPort: 4003 }]);
      await expect(manager.find(ApplicationEntity)).resolves.toMatchObject([
        { id: 3, name: 'app', priority: { value: 4, urls: [{ regex: 'a.*', value: 1 }] } },
      ]);
      await expect(manager.find(JobEntity)).resolves.toMatchObject([{ id: 9, taskId: 'group_1', state: 'SUCCESS' }]);
      await expect(manager.find(JobSchedulerClusterEntity)).resolves.toEqual([{ schedulerClusterId: 1, jobId: 9 }]);
      await expect(manager.find(OauthEntity)).resolves.toMatchObject([{ name: 'github', clientSecret: 's' }]);
      await expect(manager.find(PersonalAccessTokenEntity)).resolves.toMatchObject([{ name: 'ci', scopes: ['job'] }]);
      await expect(manager.find(ConfigEntity)).resolves.toMatchObject([
        { name: 'gc', value: '{"audit":{"ttl":1},"job":{"ttl":2}}' },
      ]);
      await expect(manager.find(AuditEntity)).resolves.toMatchObject([{ path: '/api/v1/clusters', statusCode: 200 }]);
      const rules = await manager.find(CasbinRuleEntity);
      expect(rules.filter(({ v0 }) => v0 === 'ops')).toMatchObject([{ v1: 'jobs', v2: '*' }]);
    });

    it('is refused when columns are missing, with the list, and nothing is changed', async () => {
      await database.dataSource.query('ALTER TABLE peer DROP COLUMN proxy_port');
      await database.dataSource.query('ALTER TABLE job DROP COLUMN args');
      await expect(database.migrate()).rejects.toMatchObject({
        code: 'failed-precondition',
        message: expect.stringContaining(
          'peer.proxy_port: expected int not null, found none; job.args: expected longtext not null, found none',
        ) as string,
        details: {
          differences: [
            { table: 'peer', column: 'proxy_port', expected: 'int not null', found: 'none' },
            { table: 'job', column: 'args', expected: 'longtext not null', found: 'none' },
          ],
        },
      });
      const runner = database.dataSource.createQueryRunner();
      await expect(runner.hasTable('certificate')).resolves.toBe(false);
      await runner.release();
    });

    const change = async (statements: readonly string[]): Promise<void> => {
      for (const statement of statements) await database.dataSource.query(statement);
    };

    it.each<[string, string, string, string, string]>([
      ['a shorter text', 'user MODIFY name varchar(64) NOT NULL', 'user.name', 'varchar(256) not null', 'varchar(64)'],
      ['a text for JSON that is too short', 'job MODIFY args text NOT NULL', 'job.args', 'longtext not null', 'text'],
      ['a text for a number', 'peer MODIFY port varchar(16) NOT NULL', 'peer.port', 'int not null', 'varchar(16)'],
      ['a smaller number', 'job MODIFY user_id int', 'job.user_id', 'bigint null', 'int'],
      ['a number that is read as text', 'peer MODIFY port bigint NOT NULL', 'peer.port', 'int not null', 'bigint'],
      ['times without milliseconds', 'peer MODIFY created_at datetime', 'peer.created_at', 'datetime(3) null', 'date'],
      [
        'a column that must be filled',
        "user MODIFY bio varchar(256) NOT NULL DEFAULT ''",
        'user.bio',
        'varchar',
        'not',
      ],
      ['one that may be empty', 'scheduler MODIFY ip varchar(256)', 'scheduler.ip', 'varchar(256) not null', 'varchar'],
      [
        'ids that do not count',
        'oauth MODIFY id bigint unsigned NOT NULL',
        'oauth.id',
        'bigint not null auto',
        'bigint',
      ],
      ['no unique key', 'config DROP KEY uk_config_name', 'config.name', 'a unique key', 'none'],
      [
        'a unique key that forbids more',
        'peer ADD UNIQUE KEY uk_host (host_name)',
        'peer.host_name',
        'no unique key',
        'unique key uk_host',
      ],
      [
        'a unique key over beginnings',
        'user DROP KEY uk_user_name, ADD UNIQUE KEY uk_user_name (name(8))',
        'user.name',
        'a unique key',
        'none',
      ],
      [
        'another primary key',
        'job_scheduler_cluster DROP PRIMARY KEY, ADD PRIMARY KEY (job_id)',
        'job_scheduler_cluster.scheduler_cluster_id, job_id',
        'a primary key',
        'none',
      ],
      [
        'a column of its own that must be filled',
        'scheduler ADD COLUMN net_topology varchar(10) NOT NULL',
        'scheduler.net_topology',
        'no such column',
        'varchar(10) not null without a default',
      ],
    ])('is refused with %s: table, column, expected, found', async (_, alteration, where, expected, found) => {
      const [name, ...rest] = alteration.split(' ');
      await change([`ALTER TABLE \`${name}\` ${rest.join(' ')}`]);
      const failure: unknown = await database.migrate().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'failed-precondition' });
      const { message, details } = failure as DfError;
      const [difference] = details['differences'] as SchemaDifference[];
      expect(`${difference?.table}.${difference?.column}`).toBe(where);
      expect(difference?.expected).toContain(expected);
      expect(difference?.found).toContain(found);
      expect(message).toContain(`${where}: expected `);
    });

    it('is taken over with differences that do no harm', async () => {
      await change([
        'ALTER TABLE user MODIFY name varchar(512) NOT NULL, MODIFY bio longtext',
        'ALTER TABLE job MODIFY user_id bigint, MODIFY args mediumtext NOT NULL, MODIFY created_at datetime(6)',
        'ALTER TABLE peer MODIFY port int unsigned NOT NULL, MODIFY type varchar(256) COLLATE utf8mb4_bin',
        'ALTER TABLE peer DROP KEY idx_peer_type, ADD KEY idx_more (os), ADD COLUMN hint varchar(10)',
        'ALTER TABLE personal_access_token MODIFY expired_at datetime(3) NOT NULL',
        "ALTER TABLE scheduler ADD COLUMN net varchar(10) NOT NULL DEFAULT '', ADD UNIQUE KEY uk_more (host_name, ip, scheduler_cluster_id, port)",
        'ALTER TABLE config RENAME INDEX uk_config_name TO another_name',
        'ALTER TABLE job_scheduler_cluster DROP PRIMARY KEY, ADD PRIMARY KEY (job_id, scheduler_cluster_id)',
      ]);
      await expect(database.migrate()).resolves.toBeUndefined();
      await expect(database.manager.find(PeerEntity)).resolves.toMatchObject([{ hostName: 'p', port: 4000 }]);
    });
  },
);
