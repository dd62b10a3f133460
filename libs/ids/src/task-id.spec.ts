import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { DEFAULT_FILTERED_QUERY_PARAMS } from './filtered-query-params.js';
import { IdError } from './id-error.js';
import {
  persistentCacheTaskId,
  persistentCacheTaskIdOfFile,
  persistentTaskId,
  pieceId,
  taskIdOfBlobDigestUrl,
  taskIdOfContent,
  taskIdOfUrl,
} from './task-id.js';

interface UrlVector {
  row: string;
  url: string;
  filters: 'default' | string[];
  tag?: string;
  application?: string;
  revision?: string;
  pieceLengthBytes?: number;
  /** Id by the rule of 1.5.10; absent where it was not computed. */
  current?: string;
  /** Id by the rule of 1.5.1; `null`: the URL is refused. */
  old?: string | null;
}

/** Computed by running the id functions of the real clients; see the file's own note. */
const { vectors } = JSON.parse(readFileSync(new URL('../test/vectors/url-task-ids.json', import.meta.url), 'utf8')) as {
  vectors: UrlVector[];
};

const inputOf = (vector: UrlVector) => ({
  ...vector,
  filteredQueryParams: vector.filters === 'default' ? DEFAULT_FILTERED_QUERY_PARAMS : vector.filters,
});

describe('taskIdOfUrl', () => {
  const current = vectors.filter((vector) => vector.current !== undefined);
  const old = vectors.filter((vector) => vector.old !== undefined);

  it('is given every vector', () => {
    expect(current.length).toBe(53);
    expect(old.length).toBe(31);
  });

  it.each(current)('names $url as clients from 1.5.10 do ($row)', (vector) => {
    expect(taskIdOfUrl(inputOf(vector))).toBe(vector.current);
  });

  it.each(old)('names $url as clients up to 1.5.1 do ($row)', (vector) => {
    const compute = () => taskIdOfUrl({ ...inputOf(vector), urlRule: '1.5.1' });
    if (vector.old === null) expect(compute).toThrow(IdError);
    else expect(compute()).toBe(vector.old);
  });

  it('takes the piece length as a number or a bigint', () => {
    const url = 'https://example.com/file.bin';
    expect(taskIdOfUrl({ url, pieceLengthBytes: 4_194_304n })).toBe(taskIdOfUrl({ url, pieceLengthBytes: 4_194_304 }));
  });

  it('refuses a URL that cannot be parsed when parameters are to be filtered', () => {
    expect(() => taskIdOfUrl({ url: ':error_url', filteredQueryParams: ['x'] })).toThrow(
      expect.objectContaining({ name: 'IdError', code: 'invalid-url' }),
    );
  });
});

describe('taskIdOfContent', () => {
  it('is the SHA-256 of the text', () => {
    const id = 'e2d0fe1585a63ec6009c8016ff8dda8b17719a637405a4e23c0ff81339148249';
    expect(taskIdOfContent('This is a test file')).toBe(id);
    expect(persistentCacheTaskId('This is a test file')).toBe(id);
  });
});

describe('taskIdOfBlobDigestUrl', () => {
  const sha256 = 'b2c366cce7e68013d5441c6326d5a3e1b12aeb5ed58564d0fd3fa089bc29cb6e';
  const sha512 =
    '94381a28e8c039fedfa78de025158a068226c3ccd041b22c2c8e73fc993584e9b167d9ae32bc8b372c66701c808ab134e0768c8f16b9a3e61eec1ccf8faa9db8';

  it.each([
    [`https://registry-1.docker.io/v2/library/ubuntu/blobs/sha256:${sha256}`, sha256],
    [`http://127.0.0.1:5000/v2/a/b/c/blobs/sha256:${sha256}?ns=docker.io`, sha256],
    [`http://localhost:5000/v2/myrepo/blobs/sha256:${sha256}?id=12345`, sha256],
    [`https://registry.example.com/v2/myorg/myrepo/blobs/sha512:${sha512}`, sha512],
    ['http://localhost:5000/v2/myrepo/blobs/crc32:1234abcd', '1234abcd'],
    [`http://registry.example.com/v2/library/ubuntu/manifests/sha256:${sha256}`, sha256],
    [`http://localhost:5000/v2/myrepo/manifests/sha256:${sha256}?ns=docker.io`, sha256],
  ])('takes the digest out of %s', (url, id) => {
    expect(taskIdOfBlobDigestUrl(url)).toBe(id);
  });

  it.each([
    `http://localhost:5000/v2/myrepo/blobs/sha1:${'a'.repeat(40)}`,
    `http://localhost:5000/v2/myrepo/blobs/blake3:${sha256}`,
    'http://localhost:5000/v2/myrepo/manifests/latest',
    'http://registry.example.com/blobs/sha256:abc',
    `registry.example.com/v2/repo/blobs/sha256:${sha256}`,
    `http://registry.example.com/v2/blobs/sha256:${sha256}`,
    'http://registry.example.com/v2/repo/blobs/invalid-digest',
    'http://registry.example.com/v2/repo/blobs/',
    'http://registry.example.com/v2/repo/blobs/crc32:..%2f..%2fetc',
    `http://registry.example.com/v2/repo/blobs/sha256:${'../'.repeat(21)}a`,
    '',
    'not-a-url',
  ])('leaves %s to the URL rule', (url) => {
    expect(taskIdOfBlobDigestUrl(url)).toBeUndefined();
  });

  it('looks at a hostile URL in linear time', () => {
    const url = `${'://'.repeat(20_000)}${'/v2/'.repeat(20_000)}${'/blobs/'.repeat(20_000)}`;
    const startedAt = performance.now();
    expect(taskIdOfBlobDigestUrl(url)).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});

describe('persistentTaskId', () => {
  it.each([
    [
      { url: 's3://bucket/dir/key', region: 'us-west-1', endpoint: 'https://s3.us-west-1.amazonaws.com' },
      '848de555bcc95a9b00d1b8b11787b8aef4b72fda9eabcfc45696442cfbaba044',
    ],
    [
      { url: 'oss://bucket/k', region: '', endpoint: '' },
      '5288e008bc66f8f98641a6661d393a7f458876f39283a818ecdb2364f8bb01ea',
    ],
  ])('names %j', (input, id) => {
    expect(persistentTaskId(input)).toBe(id);
  });
});

describe('persistentCacheTaskIdOfFile', () => {
  it.each([
    [{}, '91ae5d9d7ea8763cc482e9999a6d5edac534a6000599777d6a26d1c66d2bab16'],
    [{ pieceLengthBytes: 4_194_304 }, '9b3dfee035fedb0e8eb4c352a82c9da188c6d6e13bc7cf10e695c6daa8f58849'],
    [{ tag: 'tag1' }, 'a98b76813681e30cf83733fe055792b86393bba6f18e3d89fd8c18253922d992'],
    [{ application: 'app1' }, '0d0f8536f51227fda07141308f5ae8149b561b51b61c6517125f25dfa27acf5b'],
    [
      { tag: 'tag1', application: 'app1', pieceLengthBytes: 4_194_304 },
      '06149eed9221a4feaccc75a4797330b6f01df4288d9cc0953df5b8123300e1ab',
    ],
  ])('names a file with %j however it is chunked', async (input, id) => {
    const content = Buffer.from('This is a test file');
    await expect(persistentCacheTaskIdOfFile([content], input)).resolves.toBe(id);
    const chunked = Readable.from([content.subarray(0, 4), content.subarray(4, 5), content.subarray(5)]);
    await expect(persistentCacheTaskIdOfFile(chunked, input)).resolves.toBe(id);
  });

  it('passes on what goes wrong while reading', async () => {
    const broken = Readable.from(
      (function* () {
        yield Buffer.from('a');
        throw new Error('disk on fire');
      })(),
    );
    await expect(persistentCacheTaskIdOfFile(broken)).rejects.toThrow('disk on fire');
  });
});

describe('pieceId', () => {
  it('joins task id and number', () => {
    expect(pieceId('abc', 7)).toBe('abc-7');
  });
});
