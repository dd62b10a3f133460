import { Content, CountingOrigin, PortBlock } from '@dragonfly/testkit';
import { DockerComposeEnvironment, Wait, type StartedDockerComposeEnvironment } from 'testcontainers';
import { docker, whyNoContainers } from './docker.js';
import { REPOSITORY } from './local-cluster.js';
import { ManagerRest } from './manager-rest.js';

/** The images are built first; the layers of packages come from the builder's cache, or from the registry once. */
const BUILD_AND_START_TIMEOUT_MS = 15 * 60_000;
const TEST_TIMEOUT_MS = 60_000;

const SERVICES = ['redis', 'mysql', 'manager', 'scheduler', 'seed-peer', 'peer'];
/** Variables of docker-compose.yaml that are published ports. */
const PORT_VARIABLES = [
  'MANAGER_REST_PORT',
  'MANAGER_REST_ALIAS_PORT',
  'MANAGER_GRPC_PORT',
  'SCHEDULER_GRPC_PORT',
  'SEED_PEER_GRPC_PORT',
  'SEED_PEER_PROXY_PORT',
  'SEED_PEER_PIECE_PORT',
  'PEER_GRPC_PORT',
  'PEER_PROXY_PORT',
  'PEER_PIECE_PORT',
  'MYSQL_PORT',
  'REDIS_PORT',
];

const reason = await whyNoContainers();
if (reason !== undefined) process.stderr.write(`skip: ${reason}\n`);
const describeWithContainers = reason === undefined ? describe : describe.skip;

describeWithContainers('the compose set-up', () => {
  let environment: StartedDockerComposeEnvironment;
  let block: PortBlock;
  let ports: Record<string, number>;
  let origin: CountingOrigin;

  const container = (service: string) => environment.getContainer(`${service}-1`);

  beforeAll(async () => {
    block = await PortBlock.reserve(PORT_VARIABLES.length);
    ports = Object.fromEntries(PORT_VARIABLES.map((name, index) => [name, block.firstPort + index]));
    let waiting = new DockerComposeEnvironment(REPOSITORY, 'docker-compose.yaml')
      .withProjectName(`dragonfly-e2e-${block.firstPort}`)
      .withEnvironment(Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])))
      .withBuild()
      .withStartupTimeout(BUILD_AND_START_TIMEOUT_MS);
    for (const service of SERVICES) waiting = waiting.withWaitStrategy(`${service}-1`, Wait.forHealthCheck());
    environment = await waiting.up();

    const gateways = await docker(
      'inspect',
      '--format',
      '{{range .NetworkSettings.Networks}}{{.Gateway}} {{end}}',
      container('peer').getId(),
    );
    origin = await CountingOrigin.start(gateways.split(' ')[0]);
  }, BUILD_AND_START_TIMEOUT_MS);

  afterAll(async () => {
    try {
      await environment.down({ removeVolumes: true });
    } finally {
      await origin.close();
      await block.release();
    }
  }, TEST_TIMEOUT_MS);

  it('has six healthy services', async () => {
    const states = await Promise.all(
      SERVICES.map(async (service) => [
        service,
        await docker('inspect', '--format', '{{.State.Health.Status}}', container(service).getId()),
      ]),
    );
    expect(Object.fromEntries(states)).toEqual(Object.fromEntries(SERVICES.map((service) => [service, 'healthy'])));
  });

  it('publishes database and Redis on loopback only, and nothing without a password', async () => {
    for (const [service, port] of [
      ['mysql', ports['MYSQL_PORT']],
      ['redis', ports['REDIS_PORT']],
    ] as const) {
      const published = await docker('port', container(service).getId());
      expect(published).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}$`));
      expect(published).not.toContain('0.0.0.0');
    }
    const unauthenticated = await container('redis').exec(['redis-cli', 'ping']);
    expect(unauthenticated.output).toContain('NOAUTH');
    const settings = await docker('inspect', '--format', '{{json .Config}}', container('mysql').getId());
    const password = (await container('mysql').exec(['cat', '/run/dragonfly-secrets/mysql-password'])).output.trim();
    expect(password).toMatch(/^p[0-9a-f]{48}$/);
    expect(settings).not.toContain(password);
  });

  it('answers REST on both ports and has the services active in cluster 1 (seed 001-5)', async () => {
    for (const variable of ['MANAGER_REST_PORT', 'MANAGER_REST_ALIAS_PORT']) {
      const rest = await ManagerRest.signIn(`http://127.0.0.1:${ports[variable]}`);
      expect(await rest.list('schedulers')).toEqual([
        expect.objectContaining({ host_name: 'scheduler', state: 'active', scheduler_cluster_id: 1 }),
      ]);
      expect(await rest.list('seed-peers')).toEqual([
        expect.objectContaining({ host_name: 'seed-peer', state: 'active', seed_peer_cluster_id: 1 }),
      ]);
    }
  });

  it(
    'downloads by docker exec: from the source once, then in milliseconds (seeds 001-6, 001-9, 001-10)',
    async () => {
      const content = new Content(12 * 1024 * 1024 + 3, 90);
      const url = origin.put('/model.bin', content);
      const costs: number[] = [];
      for (let repetition = 0; repetition < 5; repetition += 1) {
        const { exitCode, output } = await container('peer').exec(['dfget', `-u=${url}`]);
        expect({ exitCode, output }).toEqual({ exitCode: 0, output: expect.any(String) as string });
        expect(output).toMatch(/^output path: \/var\/lib\/dragonfly\/downloads\/model\.bin$/m);
        expect(output).toMatch(/^finish total length 12582915 bytes$/m);
        costs.push(Number(/^download success: true cost: (\d+) ms/m.exec(output)?.[1]));
        const sum = await container('peer').exec(['sha256sum', 'model.bin']);
        expect(sum.output.slice(0, 64)).toBe(content.sha256());
      }
      expect(origin.bodyBytesSent('/model.bin')).toBe(content.lengthBytes);
      // The fastest: what others do on the machine only adds to it.
      expect(Math.min(...costs.slice(1))).toBeLessThanOrEqual(50);
    },
    TEST_TIMEOUT_MS,
  );

  it('runs the services as a user that is not root', async () => {
    for (const service of ['manager', 'scheduler', 'seed-peer', 'peer']) {
      const { output } = await container(service).exec(['stat', '--format', '%U', '/proc/1']);
      expect(output.trim()).toBe('node');
    }
  });
});
