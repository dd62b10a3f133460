import { DEFAULT_FILTERED_QUERY_PARAMS, taskIdOfContent, taskIdOfUrl } from '@dragonfly/ids';
import { commonV2 } from '@dragonfly/proto';
import { requestOfDownload, requestOfLight } from './download-request.js';

const URL = 'http://origin/file?ns=x&v=1';

function aDownload(fields: Partial<commonV2.Download>): commonV2.Download {
  return { ...commonV2.Download.fromPartial({}), url: URL, ...fields };
}

describe('the task id', () => {
  const blob = `https://registry/v2/library/x/blobs/sha256:${'c'.repeat(64)}`;

  it.each([
    ['the URL', {}, taskIdOfUrl({ url: URL })],
    [
      'filters, tag, application',
      { filteredQueryParams: ['ns'], tag: 't', application: 'a' },
      taskIdOfUrl({ url: URL, filteredQueryParams: ['ns'], tag: 't', application: 'a' }),
    ],
    ['the requested piece length', { pieceLength: 8388608n }, taskIdOfUrl({ url: URL, pieceLengthBytes: 8388608 })],
    ['a revision', { huggingFace: { revision: 'r' } }, taskIdOfUrl({ url: URL, revision: 'r' })],
    ['a text that names it', { contentForCalculatingTaskId: 'text', tag: 't' }, taskIdOfContent('text')],
    ['a blob digest', { url: blob, enableTaskIdBasedBlobDigest: true }, 'c'.repeat(64)],
    ['the URL of a blob, when digests are not asked for', { url: blob }, taskIdOfUrl({ url: blob })],
  ])('follows from %s', (_, fields, expected) => {
    expect(requestOfDownload(aDownload(fields)).taskId).toBe(expected);
  });

  it('of dfget leaves the default parameters out, as today’s command line does', () => {
    expect(requestOfLight({ url: URL }).taskId).toBe(
      taskIdOfUrl({ url: URL, filteredQueryParams: DEFAULT_FILTERED_QUERY_PARAMS }),
    );
    expect(requestOfLight({ url: URL, filteredQueryParams: [] }).taskId).toBe(taskIdOfUrl({ url: URL }));
  });
});

describe('a request', () => {
  it('takes the range out of the headers, the field first', () => {
    const requestHeader = { 'X-A': '1', RANGE: 'bytes=1-2' };
    const fromHeader = requestOfDownload(aDownload({ requestHeader }));
    expect(fromHeader).toMatchObject({ headers: { 'X-A': '1' }, range: { kind: 'span', start: 1, length: 2 } });
    expect(fromHeader.headers).not.toHaveProperty('RANGE');
    const fromField = requestOfDownload(aDownload({ requestHeader, range: { start: 5n, length: 6n } }));
    expect(fromField.range).toEqual({ kind: 'span', start: 5, length: 6 });
  });

  it('of dfget carries its limits', () => {
    expect(
      requestOfLight({ url: URL, timeoutMs: 5, rateLimitBytesPerSecond: 7, schedulingPolicy: 'always' }),
    ).toMatchObject({
      timeoutMs: 5,
      rateLimitBytesPerSecond: 7,
      isAlwaysScheduled: true,
      download: { priority: 6 },
    });
    expect(requestOfLight({ url: URL, timeoutMs: 0 }).timeoutMs).toBeUndefined();
  });
});
