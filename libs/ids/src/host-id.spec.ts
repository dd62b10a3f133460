import { asHostId, asPeerId, asTaskId } from './brand.js';
import { hostId, peerId } from './host-id.js';

describe('hostId', () => {
  it.each([
    ['10.0.0.1', 'node-a', false, '10.0.0.1-node-a'],
    ['10.0.0.1', 'node-a', true, '10.0.0.1-node-a-seed'],
    ['127.0.0.1', 'localhost', false, '127.0.0.1-localhost'],
    ['127.0.0.1', 'localhost', true, '127.0.0.1-localhost-seed'],
  ])('of %s, %s (seed: %s) is %s', (ip, hostname, isSeed, expected) => {
    expect(hostId(ip, hostname, isSeed)).toBe(expected);
  });
});

describe('peerId', () => {
  it('ends in a version 4 UUID that differs from call to call', () => {
    const pattern = /^10\.0\.0\.1-node-a-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    const id = peerId('10.0.0.1', 'node-a', false);
    expect(id).toMatch(pattern);
    expect(peerId('10.0.0.1', 'node-a', false)).not.toBe(id);
  });

  it('carries the seed mark at its end', () => {
    expect(peerId('10.0.0.1', 'node-a', true, 'some-uuid')).toBe('10.0.0.1-node-a-some-uuid-seed');
  });
});

describe('marking wire text', () => {
  it('changes nothing', () => {
    expect([asTaskId('t'), asPeerId('p'), asHostId('h')]).toEqual(['t', 'p', 'h']);
  });
});
