/** Directions of imports: apps → feature libs → pure libs → proto and errors. See docs/ARCHITECTURE.md. */
const PURE = 'errors|ids|hashring|scheduling';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'libs-never-import-apps',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-never-import-apps',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'pure-libs-do-no-io',
      comment: 'Pure libs know no framework, socket, file or database.',
      severity: 'error',
      from: { path: `^libs/(${PURE})/src/`, pathNot: '\\.spec\\.ts$' },
      to: {
        path: '(^|/node_modules/)(@nestjs/|typeorm|ioredis|mysql2|@grpc/|pino)|^(node:)?(net|tls|http|https|http2|fs|fs/promises|dgram|child_process|worker_threads)$',
      },
    },
    {
      name: 'codecs-do-no-io',
      comment: 'Frame codecs are pure functions; their sockets live beside them.',
      severity: 'error',
      from: { path: '^libs/(vortex|light)/src/frame\\.ts$' },
      to: { path: '^(node:)?(net|tls|http|fs|fs/promises)$' },
    },
    {
      name: 'no-deep-imports',
      comment: 'A package is used through its exports only.',
      severity: 'error',
      from: { path: '^(apps|libs|test)/([^/]+)/' },
      to: {
        path: '^libs/([^/]+)/(src|dist)/(?!(index|metrics|nest|certificates|sealing|bullmq|spans|tracing)\\.(d\\.)?[tj]s$|conformance/|testing/)',
        pathNot: '^$1/$2/',
      },
    },
    {
      name: 'no-tests-in-programs',
      severity: 'error',
      from: { path: '^(apps|libs)/[^/]+/src/', pathNot: '\\.spec\\.ts$|^libs/testkit/' },
      to: { path: '\\.spec\\.ts$|^libs/testkit/' },
    },
    {
      name: 'declared-dependencies-only',
      severity: 'error',
      from: { path: '^(apps|libs)/[^/]+/src/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/dist/' },
    exclude: { path: '/gen/' },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'default'] },
  },
};
