import { writeFileSync } from 'node:fs';
import { createAuthority, createRequest, pemOfCertificate, signRequest } from '@dragonfly/certificates';
import { ChildService, freePort, RedisServer, type TempDir, tempDir } from '@dragonfly/testkit';
import { openKv } from '../src/kv.js';
import { jobRedis } from '../src/machinery/redis-connections.js';
import { silentLogger } from '@dragonfly/telemetry';
import { testConfig } from './support/test-cluster.js';

const missing = RedisServer.missingReason;
if (missing !== undefined) console.warn(`skip: a Redis behind TLS: ${missing}`);

(missing === undefined ? describe : describe.skip)('a Redis that speaks TLS only and asks for a certificate', () => {
  let directory: TempDir;
  let redis: ChildService;
  let port: number;
  const file = (name: string): string => directory.file(name);

  beforeAll(async () => {
    directory = tempDir('redis-tls');
    port = await freePort();
    const authority = await createAuthority('test');
    writeFileSync(file('ca.pem'), authority.certificatePem);
    for (const name of ['server', 'client']) {
      const { csrDer, privateKeyPem } = await createRequest({ commonName: name, names: ['127.0.0.1'] });
      const issued = await signRequest(authority, csrDer, 3_600_000);
      writeFileSync(file(`${name}.pem`), pemOfCertificate(issued.certificateDer));
      writeFileSync(file(`${name}.key`), privateKeyPem);
    }
    redis = await ChildService.start({
      name: 'redis-server',
      command: 'redis-server',
      args: ['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory.path]
        .concat(['--tls-cert-file', file('server.pem'), '--tls-key-file', file('server.key')])
        .concat(['--tls-ca-cert-file', file('ca.pem'), '--tls-auth-clients', 'yes']),
      readyOutput: /Ready to accept connections/,
    });
  });
  afterAll(async () => {
    await redis.stop();
    directory.remove();
  });

  const configOf = (changes: Record<string, string>) =>
    testConfig(directory, { DATABASE__REDIS__ADDRS: `["127.0.0.1:${port}"]`, ...changes });

  it('is reached by what scheduler.yaml says of it: for leases and tasks, and for jobs', async () => {
    const config = configOf({
      DATABASE__REDIS__TLS__CA_CERT: file('ca.pem'),
      DATABASE__REDIS__TLS__CERT: file('client.pem'),
      DATABASE__REDIS__TLS__KEY: file('client.key'),
    });
    const kv = openKv(config, silentLogger());
    const jobs = jobRedis(config)?.('broker');
    try {
      await kv?.store.set('key', 'value');
      expect(await kv?.store.get('key')).toBe('value');
      await jobs?.connect();
      expect(await jobs?.ping()).toBe('PONG');
    } finally {
      jobs?.disconnect();
      await kv?.close();
    }
  });

  it('is not reached without, nor by somebody who trusts another authority', async () => {
    const other = await createAuthority('other');
    writeFileSync(file('other.pem'), other.certificatePem);
    const trustsAnother: Record<string, string> = { DATABASE__REDIS__TLS__CA_CERT: file('other.pem') };
    for (const changes of [{}, trustsAnother]) {
      const kv = openKv(configOf(changes), silentLogger());
      await expect(kv?.store.ping()).rejects.toMatchObject({ code: 'unavailable' });
      await kv?.close();
    }
  });

  it('refuses a certificate without its key, by name', () => {
    expect(() => configOf({ DATABASE__REDIS__TLS__CERT: file('client.pem') })).toThrow(
      /database\.redis\.tls: must name both cert and key/,
    );
  });
});
