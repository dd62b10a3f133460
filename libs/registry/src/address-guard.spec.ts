import { AddressGuard, addressKind } from './address-guard.js';

describe('addressKind', () => {
  it.each([
    ['8.8.8.8', 'global'],
    ['2606:4700::1111', 'global'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::7f00:1', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['2002:7f00:1::', 'loopback'],
    ['10.0.0.1', 'private'],
    ['172.15.255.255', 'global'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'global'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.128.0.1', 'global'],
    ['fd12::1', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['64:ff9b::a00:1', 'private'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['169.254.169.254', 'metadata'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['0.0.0.0', 'reserved'],
    ['::', 'reserved'],
    ['224.0.0.1', 'reserved'],
    ['ff02::1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['2001:db8::1', 'reserved'],
  ])('%s is %s', (address, kind) => {
    expect(addressKind(address)).toBe(kind);
  });

  it.each(['', 'localhost', '127.1', '1.2.3.4.5', '[::1]'])('refuses %j, which is no address', (text) => {
    expect(() => addressKind(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

describe('AddressGuard', () => {
  it('lets only global addresses pass when nothing is allowed', () => {
    const guard = new AddressGuard();
    expect(guard.refusal('1.1.1.1')).toBeUndefined();
    expect(guard.refusal('10.0.0.1')).toBe('private addresses are not allowed');
    expect(guard.refusal('127.0.0.1')).toBe('loopback addresses are not allowed');
  });

  it('keeps metadata services closed when private and link-local addresses are allowed', () => {
    const guard = new AddressGuard({ allow: ['private', 'link-local', 'loopback'] });
    expect(guard.refusal('169.254.1.1')).toBeUndefined();
    expect(guard.refusal('169.254.169.254')).toBe('metadata addresses are not allowed');
    expect(guard.refusal('100.100.100.200')).toBe('metadata addresses are not allowed');
  });

  it('lets a named range pass, in its mapped form too', () => {
    const guard = new AddressGuard({ allowedRanges: ['10.1.0.0/16', 'fd12::/64', '192.168.7.7'] });
    expect(guard.refusal('10.1.2.3')).toBeUndefined();
    expect(guard.refusal('::ffff:10.1.2.3')).toBeUndefined();
    expect(guard.refusal('10.2.0.1')).toBeDefined();
    expect(guard.refusal('fd12::5')).toBeUndefined();
    expect(guard.refusal('192.168.7.7')).toBeUndefined();
    expect(guard.refusal('192.168.7.8')).toBeDefined();
  });

  it.each(['10.0.0.0/33', '10.0.0/8', 'fd00::/129', 'example.com', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1'])(
    'refuses the range %s',
    (range) => {
      expect(() => new AddressGuard({ allowedRanges: [range] })).toThrow(range);
    },
  );

  it('names address and host in its error', () => {
    expect(() => {
      new AddressGuard().check('10.0.0.1', 'registry.example');
    }).toThrow('address 10.0.0.1 of registry.example is refused: private addresses are not allowed');
  });
});
