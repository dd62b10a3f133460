import { isAbsoluteUri, isHostname, isIpAddress } from './text-formats.js';

describe('isAbsoluteUri accepts and refuses what Go net/url does', () => {
  it.each([
    'http://example.com',
    'https://user:pa%20ss@example.com:8443/a/b?c=d#e',
    'http://example.com:/empty-port',
    'hdfs://namenode:9000/user/x',
    's3://bucket/key with blanks',
    'hf://org/model@main/file',
    'file:///etc/hosts',
    'http:///no-host',
    'http://[::1]:8080/',
    'http://[fe80::1%25en0]/',
    'http://müller.example/ß',
    'http://example.com/?q=%zz&broken=escape-in-query',
    'mailto:somebody',
    'http:opaque',
    'HTTP://EXAMPLE.COM/',
    'http://under_score.example/',
    'http://example.com/%41',
  ])('accepts %s', (uri) => {
    expect(isAbsoluteUri(uri)).toBe(true);
  });

  it.each([
    '',
    'example.com',
    '/path/only',
    '//host/path',
    'no scheme: here',
    '1http://digit-first',
    '://missing',
    'http://example.com/%zz',
    'http://example.com/#%z',
    'http://exa mple.com/',
    'http://example.com:port/',
    'http://[::1/',
    'http://[::1]x/',
    'http://ex%41mple.com/',
    'http://user name@example.com/',
    'http://example.com/\u0000',
    'http://example.com/a\nb',
    'http://example.com/\u007f',
  ])('refuses %j', (uri) => {
    expect(isAbsoluteUri(uri)).toBe(false);
  });
});

describe('isIpAddress', () => {
  it.each(['127.0.0.1', '::1', '2001:db8::ff00:42:8329', '::ffff:10.0.0.1'])('accepts %s', (ip) => {
    expect(isIpAddress(ip)).toBe(true);
  });

  it.each(['', '256.0.0.1', '1.2.3', '01.2.3.4', 'fe80::1%eth0', '[::1]', '10.0.0.1:80', 'localhost'])(
    'refuses %j',
    (ip) => {
      expect(isIpAddress(ip)).toBe(false);
    },
  );
});

describe('isHostname', () => {
  const label = 'a'.repeat(63);
  it.each(['a', 'host-1', 'scheduler-0.scheduler.svc.cluster.local', 'dot.at.the.end.', '127.0.0.1', 'UPPER', label])(
    'accepts %s',
    (name) => {
      expect(isHostname(name)).toBe(true);
    },
  );

  it.each([
    '',
    '.',
    'a..b',
    '-a',
    'a-',
    'under_score',
    'blank host',
    'ä',
    `${label}a`,
    [label, label, label, label].join('.'),
  ])('refuses %j', (name) => {
    expect(isHostname(name)).toBe(false);
  });
});
