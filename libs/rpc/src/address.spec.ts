import { grpcTarget, MAX_UNIX_PATH_BYTES, parseAddress } from './address.js';

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1:8002', { kind: 'tcp', host: '127.0.0.1', port: 8002 }, '127.0.0.1:8002'],
    ['scheduler-0.scheduler:0', { kind: 'tcp', host: 'scheduler-0.scheduler', port: 0 }, 'scheduler-0.scheduler:0'],
    ['[::1]:8002', { kind: 'tcp', host: '::1', port: 8002 }, '[::1]:8002'],
    ['[fe80::1%eth0]:1', { kind: 'tcp', host: 'fe80::1%eth0', port: 1 }, '[fe80::1%eth0]:1'],
    ['unix:/run/df.sock', { kind: 'unix', path: '/run/df.sock' }, 'unix:/run/df.sock'],
    ['unix:///run/df.sock', { kind: 'unix', path: '/run/df.sock' }, 'unix:/run/df.sock'],
  ])('reads %s', (text, address, target) => {
    expect(parseAddress(text)).toEqual(address);
    expect(grpcTarget(parseAddress(text))).toBe(target);
  });

  it.each(['', 'host', 'host:', 'host:65536', '::1:8002', 'unix:relative.sock', 'http://host:80', 'host:80/path'])(
    'refuses %j',
    (text) => {
      expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    },
  );

  it('refuses a unix path that does not fit into sun_path, and says by how much', () => {
    const fits = `/${'d'.repeat(MAX_UNIX_PATH_BYTES - 1)}`;
    expect(parseAddress(`unix:${fits}`)).toEqual({ kind: 'unix', path: fits });
    expect(() => parseAddress(`unix:${fits}d`)).toThrow(/is 108 bytes long, at most 107/);
    expect(() => parseAddress(`unix:/${'ö'.repeat(54)}`)).toThrow(/is 109 bytes long/);
  });
});
