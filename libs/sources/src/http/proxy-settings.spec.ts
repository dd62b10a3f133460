import { proxyFor } from './proxy-settings.js';

describe('proxyFor', () => {
  const settings = { httpProxy: 'http://proxy:3128', httpsProxy: 'secure-proxy:3129' };
  const via = (url: string, noProxy?: string): string | undefined =>
    proxyFor(new URL(url), { ...settings, noProxy })?.host;

  it('chooses by scheme', () => {
    expect(via('http://origin/')).toBe('proxy:3128');
    expect(via('https://origin/')).toBe('secure-proxy:3129');
    expect(proxyFor(new URL('http://origin/'), {})).toBeUndefined();
  });

  it.each([
    ['*', 'http://origin/', true],
    ['origin', 'http://origin/', true],
    ['ORIGIN', 'http://origin/', true],
    ['example.com', 'http://cdn.example.com/', true],
    ['.example.com', 'http://cdn.example.com/', true],
    ['*.example.com', 'http://cdn.example.com/', true],
    ['.example.com', 'http://example.com/', true],
    ['example.com', 'http://badexample.com/', false],
    ['a, ,b ,origin', 'http://origin/', true],
    ['origin:8080', 'http://origin:8080/', true],
    ['origin:8080', 'http://origin/', false],
    ['origin:443', 'https://origin/', true],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['10.1.2.3', 'http://10.1.2.3:81/', true],
    ['10.1.2.3:80', 'http://10.1.2.3/', true],
    ['::1', 'http://[::1]:8080/', true],
    ['[::1]:8080', 'http://[::1]:8080/', true],
    ['fd00::/8', 'http://[fd12::1]/', true],
    ['10.0.0.0/99', 'http://10.1.2.3/', false],
    ['1.2.3', 'http://10.1.2.3/', false],
    ['', 'http://origin/', false],
  ])('NO_PROXY=%s for %s: direct is %s', (noProxy, url, isDirect) => {
    expect(via(url, noProxy) === undefined).toBe(isDirect);
  });

  it('refuses what is no HTTP proxy', () => {
    for (const httpProxy of ['socks5://proxy:1080', 'http://']) {
      expect(() => proxyFor(new URL('http://origin/'), { httpProxy })).toThrow(/proxy/);
    }
  });
});
