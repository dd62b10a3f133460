import fc from 'fast-check';
import {
  crc32Digest,
  crc32OfDigest,
  createDigestHasher,
  digestMatches,
  digestsEqual,
  formatDigest,
  isComputable,
  parseDigest,
  tryParseDigest,
} from './digest.js';

describe('parseDigest', () => {
  it.each([
    ['crc32:1234abcd', 'crc32', '1234abcd'],
    ['crc32:1475635037', 'crc32', '1475635037'],
    ['crc32:0', 'crc32', '0'],
    [`md5:${'a'.repeat(32)}`, 'md5', 'a'.repeat(32)],
    [`sha1:${'B'.repeat(40)}`, 'sha1', 'B'.repeat(40)],
    [`sha256:${'0'.repeat(64)}`, 'sha256', '0'.repeat(64)],
    [`sha512:${'f'.repeat(128)}`, 'sha512', 'f'.repeat(128)],
    [`blake3:${'1'.repeat(64)}`, 'blake3', '1'.repeat(64)],
    [`  sha256:${'0'.repeat(64)}\n`, 'sha256', '0'.repeat(64)],
  ])('reads %j', (text, algorithm, encoded) => {
    expect(parseDigest(text)).toEqual({ algorithm, encoded });
  });

  it.each([
    ['', 'algorithm:encoded'],
    ['sha256', 'algorithm:encoded'],
    [`sha256:${'0'.repeat(64)}:`, 'algorithm:encoded'],
    [`SHA256:${'0'.repeat(64)}`, 'unknown algorithm'],
    ['toString:00', 'unknown algorithm'],
    ['__proto__:00', 'unknown algorithm'],
    [`sha256:${'0'.repeat(63)}`, 'must have 64 characters'],
    [`sha512:${'0'.repeat(64)}`, 'must have 128 characters'],
    ['crc32:', 'must be hex'],
    ['crc32:xyz', 'must be hex'],
    [`sha256:${'g'.repeat(64)}`, 'must be hex'],
    [`crc32:${'0'.repeat(5000)}`, 'longer than'],
  ])('refuses %j and names the rule', (text, rule) => {
    expect(() => parseDigest(text)).toThrow(
      expect.objectContaining({ code: 'invalid-digest', message: expect.stringContaining(rule) }),
    );
    expect(tryParseDigest(text)).toBeUndefined();
  });

  it('throws nothing but IdError, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', 'crc32:', 'sha256:'), (text, prefix) => {
        const digest = tryParseDigest(prefix + text);
        if (digest !== undefined) expect(parseDigest(formatDigest(digest))).toEqual(digest);
      }),
    );
  });
});

describe('crc32Digest', () => {
  it('writes the checksum in decimal', () => {
    expect(crc32Digest(2533597436)).toBe('crc32:2533597436');
    expect(crc32Digest(-1)).toBe('crc32:4294967295');
  });

  it('is read back by crc32OfDigest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (value) => crc32OfDigest(crc32Digest(value)) === value),
    );
  });

  it.each(['crc32:', 'crc32:01', 'crc32:4294967296', 'crc32:864bbb04', 'crc32: 1', 'sha256:1', '1', ''])(
    'is not what %j is',
    (text) => {
      expect(crc32OfDigest(text)).toBeUndefined();
    },
  );
});

describe('createDigestHasher', () => {
  const digestOf = (algorithm: 'crc32' | 'sha256' | 'sha512' | 'md5' | 'sha1', parts: readonly string[]) => {
    const hasher = createDigestHasher(algorithm);
    for (const part of parts) hasher.update(Buffer.from(part));
    return formatDigest(hasher.finish());
  };

  it.each([
    ['crc32', 'crc32:1475635037'],
    ['sha256', 'sha256:6ae8a75555209fd6c44157c0aed8016e763ff435a19cf186f76863140143ff72'],
    [
      'sha512',
      'sha512:0cbf4caef38047bba9a24e621a961484e5d2a92176a859e7eb27df343dd34eb98d538a6c5f4da1ce302ec250b821cc001e46cc97a704988297185a4df7e99602',
    ],
    ['md5', 'md5:9473fdd0d880a43c21b7778d34872157'],
    ['sha1', 'sha1:1eebdf4fdc9fc7bf283031b93f9aef3338de9052'],
  ] as const)('computes %s as the real client does', (algorithm, expected) => {
    expect(digestOf(algorithm, ['test content'])).toBe(expected);
    expect(digestOf(algorithm, ['te', '', 'st cont', 'ent'])).toBe(expected);
  });

  it('does not offer blake3', () => {
    expect(isComputable('blake3')).toBe(false);
    expect(isComputable('sha256')).toBe(true);
  });
});

describe('comparing digests', () => {
  it('does not look at the case of hex', () => {
    const lower = parseDigest(`sha256:${'ab'.repeat(32)}`);
    const upper = parseDigest(`sha256:${'AB'.repeat(32)}`);
    expect(digestsEqual(lower, upper)).toBe(true);
    expect(digestsEqual(lower, parseDigest(`sha256:${'ac'.repeat(32)}`))).toBe(false);
    expect(digestsEqual(lower, parseDigest(`blake3:${'ab'.repeat(32)}`))).toBe(false);
  });

  it('takes an expected crc32 in decimal or as eight hex characters', () => {
    const actual = createDigestHasher('crc32');
    actual.update(Buffer.from('test content'));
    const digest = actual.finish();
    expect(digestMatches(parseDigest('crc32:1475635037'), digest)).toBe(true);
    expect(digestMatches(parseDigest('crc32:57f4675d'), digest)).toBe(true);
    expect(digestMatches(parseDigest('crc32:57f4675e'), digest)).toBe(false);
    expect(digestMatches(parseDigest(`sha256:${'0'.repeat(64)}`), digest)).toBe(false);
  });
});
