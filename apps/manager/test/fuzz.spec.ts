import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '@dragonfly/telemetry';
import { tempDir } from '@dragonfly/testkit';
import fc from 'fast-check';
import { violations, type Description, type Operation, type Schema } from './described.js';
import { engines, stopEngines } from './engines.js';
import { FakeScheduler } from './fake-scheduler.js';
import { addScheduler } from './job-setup.js';
import { RunningManager, type Answer } from './running-manager.js';

afterAll(stopEngines);

/** Requests for each route; more find more. */
const RUNS = 25;
/** So that a failure can be seen again. */
const SEED = 20_261_121;

/** Requests for each route behind which something goes on afterwards, at schedulers and origins. */
const JOB_RUNS = 40;
const JOB_ROUTES = new Set(['POST /api/v1/jobs', 'POST /oapi/v1/jobs']);

/** What people and tools have tried on other APIs. */
const TRICKS = [
  '',
  "'; DROP TABLE user; --",
  '" OR 1=1',
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '\u0000',
  '\ud800',
  'ﷺ'.repeat(50),
  '\u202e',
  'a'.repeat(5_000),
  '${7*7}{{7*7}}',
  '<script>alert(1)</script>',
  '-1',
  '0',
  '1e309',
  '999999999999999',
  '9007199254740993',
  'NaN',
  'true',
  'null',
  '[]',
  '{}',
  '(a+)+$',
  '2026-13-45T99:99:99Z',
];
const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...TRICKS),
  fc.constantFrom(null, true, -1, 0, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), [], {}, [[]], { __proto__: 1 }),
  fc.jsonValue({ maxDepth: 2 }),
);

function textOf(schema: Schema & { maxLength?: number }): fc.Arbitrary<unknown> {
  switch (schema.format) {
    case 'email':
      return fc.emailAddress();
    case 'uri':
      return fc.webUrl();
    case 'date-time':
      return fc.constantFrom('2030-01-01T00:00:00Z', '2030-01-01T00:00:00.123+02:00', '2050-01-01T00:00:00Z');
    default:
      return fc.oneof(fc.string({ maxLength: Math.min(schema.maxLength ?? 300, 300) }), fc.constantFrom(...TRICKS));
  }
}

/** Mostly values that fit the schema, and some that do not. */
function valueOf(schema: Schema & { minimum?: number; maximum?: number }): fc.Arbitrary<unknown> {
  if (schema.anyOf) {
    return fc.oneof(...schema.anyOf.map(valueOf), junk);
  }
  const fitting = (): fc.Arbitrary<unknown> => {
    if (schema.enum) {
      return fc.constantFrom(...schema.enum);
    }
    switch (schema.type) {
      case 'integer':
      case 'number':
        return fc.oneof(
          fc.constantFrom(1, 2, 3),
          fc.integer({ min: schema.minimum ?? 0, max: Math.max(schema.minimum ?? 0, schema.maximum ?? 2 ** 53 - 1) }),
        );
      case 'boolean':
        return fc.boolean();
      case 'array':
        return fc.array(valueOf(schema.items ?? {}), { maxLength: 3 });
      case 'object':
        return fc.record(
          Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, part]) => [name, valueOf(part)])),
          { requiredKeys: schema.required ?? [] },
        );
      case 'string':
        return textOf(schema);
      default:
        return junk;
    }
  };
  return fc.oneof({ weight: 6, arbitrary: fitting() }, { weight: 1, arbitrary: junk });
}

interface Sent {
  path: string;
  body: unknown;
  contentType: string;
}

function requestOf(path: string, operation: Operation): fc.Arbitrary<Sent> {
  const parameters = operation.parameters ?? [];
  const text = (schema: Schema): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constantFrom('1', '2', 'root', 'guest'),
      valueOf(schema).map((value) => (typeof value === 'string' ? value : JSON.stringify(value))),
      fc.constantFrom(...TRICKS),
    );
  const values = fc.record(Object.fromEntries(parameters.map(({ name, schema }) => [name, text(schema)])), {
    requiredKeys: parameters.filter((one) => one.in === 'path').map(({ name }) => name),
  });
  const schema = operation.requestBody?.content['application/json']?.schema;
  const body = schema ? valueOf(schema) : fc.oneof(fc.constant(undefined), junk);
  const contentType = fc.oneof(
    { weight: 9, arbitrary: fc.constant('application/json') },
    { weight: 1, arbitrary: fc.constantFrom('text/plain', 'multipart/form-data; boundary=x', 'application/xml') },
  );
  return fc.record({ values, body, contentType }).map((sent) => {
    const encode = (value: unknown): string => encodeURIComponent(String(value).toWellFormed());
    const query = parameters
      .filter((one) => one.in === 'query' && sent.values[one.name] !== undefined)
      .map(({ name }) => `${name}=${encode(sent.values[name])}`);
    const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encode(sent.values[name] ?? ''));
    return { path: `${filled}?${query.join('&')}`, body: sent.body, contentType: sent.contentType };
  });
}

/** Whatever a request names lies on this machine: nobody else's server is asked by a test. */
function atHome(value: unknown, origin: string): unknown {
  if (typeof value === 'string') {
    const url = URL.parse(value);
    return url?.hostname ? value.replace(/^(https?:\/\/)[^/?#]*/i, origin) : value;
  }
  if (Array.isArray(value)) {
    return value.map((one) => atHome(one, origin));
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, atHome(part, origin)]))
    : value;
}

/** An origin that answers each path in one of the ways that origins have. */
async function anOrigin(): Promise<Server> {
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(200, { 'content-type': 'application/octet-stream', etag: '"1"' }).end('content'),
    (response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Index of /</title><a href="x">x</a>'),
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"schemaVersion":2,"layers":1}'),
    (response) => response.writeHead(404).end(),
    (response) => response.writeHead(401, { 'www-authenticate': 'Bearer realm="nonsense"' }).end(),
    (response) => response.writeHead(302, { location: '/again' }).end(),
    (response) => response.destroy(),
  ];
  const server = createServer((request, response) => {
    answers[(request.url ?? '').length % answers.length]?.(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Jobs that are good as they are, but for the origin. */
const GOOD_JOBS: readonly { readonly type: string; readonly args?: Readonly<Record<string, unknown>> }[] = [
  { type: 'preheat', args: { type: 'file', url: 'http://origin.test/file' } },
  { type: 'preheat', args: { type: 'image', url: 'http://origin.test/v2/team/app/manifests/v1' } },
  { type: 'get_task', args: { url: 'http://origin.test/file' } },
  { type: 'delete_task', args: { task_id: 'a'.repeat(64) } },
  { type: 'get_image_distribution', args: { url: 'http://origin.test/v2/team/app/manifests/v1' } },
  { type: 'sync_peers' },
  { type: 'gc', args: { type: 'job' } },
];
/** Fields of a good job that are changed at a time: with all of them at random hardly any job would be accepted. */
const MAX_CHANGES = 2;

function someOf(properties: Readonly<Record<string, Schema>> = {}): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .subarray(Object.keys(properties), { maxLength: Math.min(MAX_CHANGES, Object.keys(properties).length) })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, valueOf(properties[name] ?? {})]))));
}

/** Good jobs of every kind, with a few fields as the schema of their kind has them. */
function jobRequestOf(path: string, operation: Operation): fc.Arbitrary<Sent> {
  const kinds = operation.requestBody?.content['application/json']?.schema.anyOf ?? [];
  const kindOf = (type: string): Schema | undefined =>
    kinds.find(({ properties }) => properties?.['type']?.enum?.includes(type));
  return fc.constantFrom(...GOOD_JOBS).chain((job) => {
    const { type: _type, args: argsSchema, ...others } = kindOf(job.type)?.properties ?? {};
    return fc.record({ more: someOf(others), args: someOf(argsSchema?.properties) }).map(({ more, args }) => ({
      path,
      body: { ...job, ...more, ...(job.args ? { args: { ...job.args, ...args } } : {}) },
      contentType: 'application/json',
    }));
  });
}

describe.each(engines)('requests at random on $name', ({ freshDatabase }) => {
  let manager: RunningManager;
  let description: Description;
  let scheduler: FakeScheduler;
  let server: Server;
  let origin: string;
  let token: string;
  const directory = tempDir('fuzz');

  beforeAll(async () => {
    server = await anOrigin();
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    scheduler = await FakeScheduler.start();
    const log = createLogger({ service: 'manager', file: directory.file('manager.log'), console: false });
    const job = { outgoing: { allow: ['loopback'] }, huggingFace: { endpoint: origin } };
    manager = await RunningManager.start(await freshDatabase(), undefined, { job }, 0, log);
    await manager.signIn();
    await addScheduler(manager, scheduler.port);
    const made = await manager.request('POST', '/api/v1/personal-access-tokens', {
      name: 'fuzz',
      expired_at: '2037-01-01T00:00:00Z',
      user_id: 1,
    });
    ({ token } = made.body as { token: string });
    description = (await manager.request('GET', '/swagger/doc.json')).body as Description;
  });
  afterAll(async () => {
    await manager.stop();
    await scheduler.stop();
    server.close();
    directory.remove();
  });

  /** Requests that failed by our fault; what the API refuses with 500, as the original does, is none of them. */
  const faults = (): string[] =>
    readFileSync(directory.file('manager.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"msg":"request failed"'));

  it('find no fault: every answer is one that the description has, and none is a failure of ours', async () => {
    const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
    const isForJobs = ({ method, path }: { method: string; path: string }): boolean =>
      JOB_ROUTES.has(`${method} ${path}`);
    // Jobs first: other routes take their scheduler and its cluster away.
    operations.sort((a, b) => Number(isForJobs(b)) - Number(isForJobs(a)));
    for (const { method, path, operation } of operations) {
      const route = `${method} ${path}`;
      const anyRequest = requestOf(path, operation);
      const requests = JOB_ROUTES.has(route) ? fc.oneof(anyRequest, jobRequestOf(path, operation)) : anyRequest;
      await fc.assert(
        fc.asyncProperty(requests, async (sent) => {
          const hasBody = method !== 'GET' && sent.body !== undefined;
          const answer: Answer = await manager.request(
            method,
            sent.path,
            hasBody ? atHome(sent.body, origin) : undefined,
            {
              'content-type': sent.contentType,
              ...(path.startsWith('/oapi/') ? { authorization: `Bearer ${token}` } : {}),
            },
          );
          const failed = answer.status >= 500 ? faults() : [];
          expect({ route, status: answer.status, failed }).toMatchObject({ failed: [] });
          // A path with an empty or odd part may be another route, or none.
          const isDescribed = Boolean((operation.responses['200'] ?? operation.responses['302'])?.description);
          if (isDescribed && ![404, 405].includes(answer.status) && !/\/(\?|\/|%)/.test(sent.path)) {
            expect({ route, found: violations(description, route, answer) }).toEqual({ route, found: [] });
          }
        }),
        { numRuns: JOB_ROUTES.has(route) ? JOB_RUNS : RUNS, seed: SEED, endOnFailure: true },
      );
    }
  }, 400_000);

  it('are no idle play: jobs of several kinds have been accepted, and reached the scheduler', () => {
    const kinds = new Set(scheduler.runs.map(({ job }) => job?.$case));
    expect(kinds).toContain('preheat');
    expect(kinds.size).toBeGreaterThan(1);
  });

  it('leave the manager as it was: root signs in, cluster 1 is there', async () => {
    expect(await manager.request('GET', '/api/v1/users/1')).toMatchObject({ status: 200, body: { name: 'root' } });
    expect(await manager.request('GET', '/readyz')).toMatchObject({ status: 200 });
    expect((await manager.request('GET', '/api/v1/clusters?per_page=1000')).status).toBe(200);
  });
});
