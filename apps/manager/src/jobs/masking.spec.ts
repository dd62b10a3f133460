import { MASK, masked, plainUrl } from './masking.js';

describe('masking', () => {
  it.each<[string, unknown, unknown]>([
    ['a password', { username: 'bob', password: 'x' }, { username: 'bob', password: MASK }],
    [
      'headers by their names',
      { headers: { Authorization: 'x', Cookie: 'y', Accept: 'z' } },
      { headers: { Authorization: MASK, Cookie: MASK, Accept: 'z' } },
    ],
    [
      'keys of object storages',
      { object_storage: { access_key_secret: 'x', region: 'r' } },
      { object_storage: { access_key_secret: MASK, region: 'r' } },
    ],
    [
      'everything below a secret name',
      { credentials: { a: ['x', { b: 'y' }] } },
      { credentials: { a: [MASK, { b: MASK }] } },
    ],
    ['user information of a URL', { url: 'http://bob:pw@h/x' }, { url: `http://${MASK}@h/x` }],
    [
      'signatures of a URL',
      { urls: ['s3://b/k?X-Amz-Signature=abc&a=1'] },
      { urls: [`s3://b/k?X-Amz-Signature=${MASK}&a=1`] },
    ],
  ])('hides %s', (_name, value, shown) => {
    expect(masked(value)).toEqual({ shown, hasSecrets: true });
  });

  it('leaves the rest as it is, and an empty secret empty', () => {
    const value = { password: '', url: 'http://h/x?a=1#top', count: 3, nothing: null, list: [true] };
    expect(masked(value)).toEqual({ shown: value, hasSecrets: false });
  });

  it('shows of a URL for logs where it leads only', () => {
    expect(plainUrl('https://bob:pw@h:8443/a/b?token=x#y')).toBe('https://h:8443/a/b');
    expect(plainUrl('nonsense')).toBe('(no URL)');
  });
});
