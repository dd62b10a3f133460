import { writeFileSync } from 'node:fs';
import { tempDir, type TempDir } from '@dragonfly/testkit';
import { connectionOptions, redisPlaceOf, type RedisSection } from './redis-place.js';

const SECTION: RedisSection = {
  addrs: [],
  masterName: '',
  username: '',
  password: '',
  sentinelUsername: '',
  sentinelPassword: '',
};

describe('database.redis of a configuration file', () => {
  let directory: TempDir;
  beforeEach(() => {
    directory = tempDir('redis-place');
  });
  afterEach(() => {
    directory.remove();
  });

  it('is no Redis without an address', () => {
    expect(redisPlaceOf(SECTION)).toBeUndefined();
    expect(redisPlaceOf({ ...SECTION, addrs: [''] })).toBeUndefined();
  });

  it('names a server by IPv4, IPv6 or name', () => {
    const hosts = ['10.0.0.1:6379', '[fd00::1]:6380', 'redis:6381'].map((addr) => {
      const place = redisPlaceOf({ ...SECTION, addrs: [addr] });
      return place && connectionOptions(place);
    });
    expect(hosts).toMatchObject([
      { host: '10.0.0.1', port: 6379 },
      { host: 'fd00::1', port: 6380 },
      { host: 'redis', port: 6381 },
    ]);
  });

  it.each([
    ['an address without a port', { addrs: ['redis'] }, 'database.redis.addrs: "redis" must be host:port'],
    [
      'several servers without a master',
      { addrs: ['a:1', 'b:2'] },
      'database.redis.addrs: several addresses need database.redis.masterName (sentinels)',
    ],
    ['a file that is not there', { addrs: ['a:1'], tls: { caCert: '/nowhere/ca.pem' } }, 'database.redis.tls.caCert: '],
  ] as const)('refuses %s by key and rule', (_what, section, message) => {
    expect(() => redisPlaceOf({ ...SECTION, ...section })).toThrow(message);
  });

  it('reads the files of TLS, and uses it towards sentinels and the master that they name', () => {
    for (const name of ['ca', 'cert', 'key']) writeFileSync(directory.file(name), `the ${name}`);
    const tls = { caCert: directory.file('ca'), cert: directory.file('cert'), key: directory.file('key') };
    const read = { ca: 'the ca', cert: 'the cert', key: 'the key', rejectUnauthorized: true };
    const one = redisPlaceOf({ ...SECTION, addrs: ['a:1'], tls });
    expect(one && connectionOptions(one)).toMatchObject({ tls: read });
    const many = redisPlaceOf({ ...SECTION, addrs: ['a:1', 'b:2'], masterName: 'm', sentinelPassword: 's', tls });
    expect(many && connectionOptions(many, () => null)).toMatchObject({
      name: 'm',
      sentinels: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      sentinelPassword: 's',
      tls: read,
      sentinelTLS: read,
      enableTLSForSentinelMode: true,
    });
    expect(redisPlaceOf({ ...SECTION, addrs: ['a:1'], tls: { insecureSkipVerify: true } })?.tls).toMatchObject({
      rejectUnauthorized: false,
    });
  });
});
