import { RedirectCache, redirectKey } from './redirect-cache.js';

const target = { url: new URL('http://storage/x'), leavesOrigin: true };

describe('RedirectCache', () => {
  it('forgets after its time, and at once when told', () => {
    let nowMs = 0;
    const cache = new RedirectCache(1000, () => nowMs);
    cache.set('a', target);
    cache.set('b', target);
    cache.delete('b');
    expect([cache.get('a')?.url.href, cache.get('b')]).toEqual(['http://storage/x', undefined]);
    nowMs = 1000;
    expect(cache.get('a')).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  it('stays small, oldest out first', () => {
    const cache = new RedirectCache(1000, () => 0);
    for (let index = 0; index <= 1000; index += 1) cache.set(String(index), target);
    expect(cache.size).toBe(1000);
    expect([cache.get('0'), cache.get('1')?.leavesOrigin]).toEqual([undefined, true]);
  });

  it('remembers nothing without a time', () => {
    const cache = new RedirectCache(0);
    cache.set('a', target);
    expect(cache.size).toBe(0);
  });

  it('keeps callers, methods and URLs apart', () => {
    const url = new URL('http://hub/file');
    const keys = [
      redirectKey('GET', url, new Map()),
      redirectKey('HEAD', url, new Map()),
      redirectKey('GET', new URL('http://hub/file?x'), new Map()),
      redirectKey('GET', url, new Map([['authorization', 'a']])),
      redirectKey('GET', url, new Map([['authorization', 'b']])),
      redirectKey('GET', url, new Map([['cookie', 'a']])),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.join()).not.toContain('authorization');
  });
});
