import { formatPlatform, hostPlatform, parsePlatform, platformRank } from './platform.js';

const rank = (wanted: string, offered: string): number | undefined =>
  platformRank(parsePlatform(wanted), parsePlatform(offered));

describe('platforms', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['Linux/x86_64', 'linux/amd64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
  ])('%s is read as %s', (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected);
  });

  it.each(['', 'linux', 'linux/', '/amd64', 'linux/amd64/', 'a/b/c/d', 'linux/amd 64', 'linux/../x'])(
    'refuses %j',
    (text) => {
      expect(() => parsePlatform(text)).toThrow('invalid platform format');
    },
  );

  it('prefers the same platform and falls back to older ones of the family', () => {
    expect(rank('linux/amd64', 'linux/amd64')).toBe(0);
    expect(rank('linux/amd64', 'linux/386')).toBeGreaterThan(0);
    expect(rank('linux/arm64', 'linux/arm64/v8')).toBe(0);
    expect(rank('linux/arm64', 'linux/arm/v7')).toBeGreaterThan(rank('linux/arm64', 'linux/arm/v8') ?? Infinity);
    expect(rank('linux/arm/v7', 'linux/arm/v6')).toBe(1);
    expect(rank('linux/amd64/v3', 'linux/amd64')).toBe(2);
  });

  it('never takes a newer one, another system or another processor', () => {
    expect(rank('linux/arm/v6', 'linux/arm/v7')).toBeUndefined();
    expect(rank('linux/386', 'linux/amd64')).toBeUndefined();
    expect(rank('linux/amd64', 'windows/amd64')).toBeUndefined();
    expect(rank('linux/s390x', 'linux/amd64')).toBeUndefined();
  });

  it('knows the machine by the name that Node gives it', () => {
    expect(formatPlatform(hostPlatform('x64'))).toBe('linux/amd64');
    expect(formatPlatform(hostPlatform('arm64'))).toBe('linux/arm64');
  });
});
