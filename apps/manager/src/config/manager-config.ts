import { duration, port } from '@dragonfly/config';
import { z } from 'zod';
import { jobConfigSchema } from './job-config.js';

/** A section of the file: may be missing or empty (`job:` with nothing below), and is then all defaults. */
function section<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess((value) => value ?? {}, z.object(shape)).prefault({} as never);
}

const text = (value = '') =>
  z
    .string()
    .nullish()
    .transform((given) => given ?? value)
    .default(value);
const texts = () =>
  z
    .array(z.string())
    .nullish()
    .transform((list) => list ?? []);
const flag = (value: boolean) => z.boolean().default(value);
const tlsFiles = (...keys: ('caCert' | 'cert' | 'key')[]) =>
  z
    .object({ caCert: z.string().optional(), cert: z.string().optional(), key: z.string().optional() })
    .nullish()
    .transform((files) => (files && Object.values(files).some((file) => file) ? files : undefined))
    .refine((files) => !files || keys.every((name) => files[name]), {
      error: `must name the files ${keys.join(', ')}, or none of them`,
    });
const databaseTls = z
  .object({
    caCert: z.string().optional(),
    cert: z.string().optional(),
    key: z.string().optional(),
    insecureSkipVerify: z.boolean().optional(),
  })
  .nullish();

/** `host:port`, `[v6]:port` or `:port` (every address). */
export interface ListenAddress {
  /** Empty = every address. */
  host: string;
  port: number;
}

/** @returns undefined when the text is no listen address */
export function parseListenAddress(address: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address);
  const portNumber = Number(match?.[3]);
  return match && portNumber <= 65_535 ? { host: match[1] ?? match[2] ?? '', port: portNumber } : undefined;
}

const listenAddress = (value: string) =>
  z
    .string()
    .default(value)
    .refine((address) => parseListenAddress(address) !== undefined, { error: 'must be host:port or :port' });

const objectStorage = section({
  enable: flag(false),
  name: z.enum(['', 's3', 'oss', 'obs'], { error: 'must be s3, oss or obs' }).default(''),
  region: text(),
  endpoint: text(),
  accessKey: text(),
  secretKey: text(),
  s3ForcePathStyle: flag(true),
}).superRefine((value, context) => {
  for (const key of ['name', 'accessKey', 'secretKey'] as const) {
    if (value.enable && value[key] === '') {
      context.addIssue({ code: 'custom', path: [key], message: 'is required when objectStorage.enable is true' });
    }
  }
});

const UNSUPPORTED_DATABASES = new Set(['postgres', 'polardb']);
const databaseType = z
  .string()
  .optional()
  .superRefine((value, context) => {
    if (value === undefined || ['mysql', 'mariadb', 'sqlite'].includes(value)) {
      return;
    }
    context.addIssue({
      code: 'custom',
      message: UNSUPPORTED_DATABASES.has(value)
        ? `${value} is not supported here: use mysql, mariadb or sqlite`
        : 'must be mysql, mariadb or sqlite',
    });
  });

/** The manager's configuration file: the keys of the original's manager.yaml and ours. */
export const managerConfigSchema = z.object({
  server: section({
    name: text('d7y/manager'),
    logDir: text(),
    logLevel: z.enum(['debug', 'info', 'warn', 'error', 'panic', 'fatal']).default('info'),
    logMaxSize: z.number().default(1024),
    logMaxAge: z.number().default(7),
    logMaxBackups: z.number().default(20),
    pluginDir: text(),
    cacheDir: text(),
    // Where the signing key and, by default, the SQLite file live; dataDir is an older word for it.
    workHome: text(),
    dataDir: text(),
    grpc: section({
      advertiseIP: text(),
      listenIP: text(),
      port: section({ start: port().default(65_003), end: port().optional() }),
      tls: tlsFiles('caCert', 'cert', 'key'),
      requestRateLimit: z.number().positive().default(4_000),
    }),
    rest: section({
      addr: listenAddress(':8080'),
      tls: tlsFiles('cert', 'key'),
      cors: section({ origins: texts() }),
      trustedProxies: texts(),
      consoleDir: text(),
    }),
  }),
  auth: section({
    jwt: section({
      realm: text('Dragonfly'),
      key: text(),
      timeout: duration().default(14 * 86_400_000),
      maxRefresh: duration().default(7 * 86_400_000),
    }),
    cookie: section({
      secure: z.union([z.boolean(), z.literal('auto')]).default('auto'),
      sameSite: z.enum(['lax', 'strict', 'none']).default('lax'),
      httpOnly: flag(false),
      domain: text(),
    }),
    signUp: section({ enable: flag(true) }),
    oauth: section({
      github: section({
        authorizeURL: text('https://github.com/login/oauth/authorize'),
        tokenURL: text('https://github.com/login/oauth/access_token'),
        apiURL: text('https://api.github.com'),
      }),
      google: section({ issuer: text('https://accounts.google.com') }),
    }),
  }),
  database: section({
    type: databaseType,
    sqlite: section({ path: text() }),
    mysql: z
      .object({
        user: text(),
        password: text(),
        host: text(),
        port: port().default(3306),
        dbname: text('manager'),
        tlsConfig: text(),
        tls: databaseTls,
        migrate: flag(true),
        queryTimeout: duration().default(10_000),
      })
      .nullish(),
    postgres: z.unknown().optional(),
    polardb: z.unknown().optional(),
    redis: section({
      addrs: z
        .array(z.string())
        .nullish()
        .transform((list) => list ?? []),
      host: text(),
      port: port().optional(),
      masterName: text(),
      username: text(),
      password: text(),
      sentinelUsername: text(),
      sentinelPassword: text(),
      db: z.number().int().min(0).default(0),
      brokerDB: z.number().int().min(0).default(1),
      backendDB: z.number().int().min(0).default(2),
      poolSize: z.number().optional(),
      poolTimeout: duration().optional(),
      proxy: z.object({ enable: flag(false), addr: text(':65100') }).nullish(),
      tls: databaseTls,
    }),
  }),
  cache: section({
    redis: section({ ttl: duration().default(300_000) }),
    local: section({ size: z.number().default(8_000), ttl: duration().default(180_000) }),
  }),
  job: jobConfigSchema,
  objectStorage,
  // One switch for mTLS on every gRPC port, with certificates of the cluster's own authority.
  security: section({
    enable: flag(false),
    // An authority of the operator's; without one it is made at the first start.
    ca: section({ cert: text(), key: text() }),
    // What keys are sealed with in the database; several managers need the same file.
    encryptionKeyFile: text(),
    names: z
      .array(z.string())
      .nullish()
      .transform((list) => list ?? []),
    joinPort: port().default(65_009),
    certificateValidity: duration().default(7 * 86_400_000),
    authorityOverlap: duration().default(600_000),
  }).superRefine((value, context) => {
    if ((value.ca.cert === '') !== (value.ca.key === '')) {
      context.addIssue({ code: 'custom', path: ['ca'], message: 'must name the files cert and key, or none of them' });
    }
  }),
  metrics: section({ enable: flag(false), addr: listenAddress(':8000'), enablePeerGauge: z.unknown().optional() }),
  network: section({ enableIPv6: flag(false) }),
  tracing: z
    .object({
      protocol: text(),
      endpoint: text(),
      path: text(),
      headers: z.record(z.string(), z.string()).nullish(),
      addr: text(),
      serviceName: text(),
      'service-name': text(),
    })
    .nullish(),
  console: flag(false),
  verbose: flag(false),
  pprofPort: z.number().int().default(-1),
  'pprof-port': z.number().int().optional(),
});

export type ManagerConfig = z.infer<typeof managerConfigSchema>;
