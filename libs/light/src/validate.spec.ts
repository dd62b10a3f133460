import { DfError } from '@dragonfly/errors';
import fc from 'fast-check';
import { parseClientMessage, parseDaemonMessage, parseDownloadRequest } from './validate.js';

const FULL_REQUEST = {
  url: 'https://example.test/a?b=c',
  output: '/tmp/a',
  tag: 't',
  application: 'app',
  headers: { 'X-One': '1', __proto__x: 'y' },
  digest: `sha256:${'a'.repeat(64)}`,
  pieceLength: 4194304,
  filteredQueryParams: ['Expires'],
  range: { start: 0, length: 10 },
  timeoutMs: 7200000,
  disableBackToSource: true,
  priority: 6,
  schedulingPolicy: 'always',
  overwrite: true,
  forceHardLink: false,
  contentForCalculatingTaskId: 'content',
  rateLimitBytesPerSecond: 1048576,
  uid: 0,
  gid: 0,
  callerCwd: '/',
  trace: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=1' },
};

function failureOf(action: () => unknown): DfError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof DfError) return error;
    throw error;
  }
}

describe('download request', () => {
  it('is handed over whole', () => {
    expect(parseDownloadRequest(FULL_REQUEST)).toEqual(FULL_REQUEST);
  });

  it('needs a URL only', () => {
    expect(parseDownloadRequest({ url: 'http://h/' }).url).toBe('http://h/');
  });

  it('ignores fields of later versions, null and an empty digest', () => {
    const request = parseDownloadRequest({ url: 'http://h/', later: 1, tag: null, digest: '' });
    expect(request).not.toHaveProperty('later');
    expect(request.tag).toBeUndefined();
    expect(request.digest).toBeUndefined();
  });

  it.each<[field: string, change: object, rule: RegExp]>([
    ['request.url', { url: undefined }, /must be a string/],
    ['request.url', { url: '/local/path' }, /absolute URL/],
    ['request.url', { url: `http://h/${'x'.repeat(70_000)}` }, /longer than 65536/],
    ['request.output', { output: 'relative' }, /absolute path/],
    ['request.output', { output: '/a\0b' }, /NUL/],
    ['request.output', { output: `/${'ü'.repeat(2100)}` }, /4096 bytes/],
    ['request.tag', { tag: 5 }, /must be a string/],
    ['request.headers', { headers: [] }, /must be an object/],
    ['request.headers["a b"]', { headers: { 'a b': '1' } }, /not a header name/],
    ['request.headers.X', { headers: { X: 'a\r\nY: b' } }, /line ends/],
    ['request.headers.X', { headers: { X: 1 } }, /must be a string/],
    ['request.digest', { digest: 'sha256:abc' }, /hex digits/],
    ['request.digest', { digest: 'foo:abc' }, /md5:/],
    ['request.pieceLength', { pieceLength: 1024 }, /at least 4194304/],
    ['request.pieceLength', { pieceLength: 1.5 }, /whole number/],
    ['request.filteredQueryParams', { filteredQueryParams: 'a&b' }, /list of strings/],
    ['request.filteredQueryParams[1]', { filteredQueryParams: ['a', 1] }, /must be a string/],
    ['request.range.start', { range: { start: -1, length: 1 } }, /whole number/],
    ['request.range.length', { range: { start: 0, length: 0 } }, /whole number from 1/],
    ['request.range', { range: { start: 2 ** 53 - 2, length: 2 ** 52 } }, /2\^53/],
    ['request.timeoutMs', { timeoutMs: -1 }, /whole number/],
    ['request.disableBackToSource', { disableBackToSource: 'yes' }, /true or false/],
    ['request.priority', { priority: 7 }, /from 0 to 6/],
    ['request.schedulingPolicy', { schedulingPolicy: 'never' }, /"auto" or "always"/],
    ['request.rateLimitBytesPerSecond', { rateLimitBytesPerSecond: 0 }, /from 1/],
    ['request.uid', { uid: 2 ** 32 - 1 }, /whole number/],
    ['request.callerCwd', { callerCwd: '.' }, /absolute path/],
    ['request.trace', { trace: 'x' }, /must be an object/],
    ['request.trace.traceparent', { trace: { traceparent: 1 } }, /must be a string/],
    ['request.trace.tracestate', { trace: { tracestate: 'x'.repeat(513) } }, /longer than 512/],
  ])('names %s and the rule for %j', (field, change, rule) => {
    const failure = failureOf(() => parseDownloadRequest({ ...FULL_REQUEST, ...change }));
    expect(failure?.code).toBe('invalid-argument');
    expect(failure?.details['field']).toBe(field);
    expect(failure?.message).toMatch(rule);
    expect(failure?.message.startsWith(field)).toBe(true);
  });

  it('keeps a header named __proto__ a header', () => {
    const request = parseDownloadRequest(JSON.parse('{"url":"http://h/","headers":{"__proto__":"1"}}'));
    expect(Object.entries(request.headers ?? {})).toEqual([['__proto__', '1']]);
    expect(Object.getPrototypeOf(request.headers)).toBe(Object.prototype);
  });

  it('throws DfError invalid-argument or nothing for any JSON', () => {
    fc.assert(
      fc.property(fc.record({ url: fc.jsonValue(), headers: fc.jsonValue(), range: fc.jsonValue() }), (value) => {
        const failure = failureOf(() => parseDownloadRequest(value));
        if (failure !== undefined) expect(failure.code).toBe('invalid-argument');
      }),
    );
  });
});

describe('client message', () => {
  it('of another version is refused with the versions that are spoken', () => {
    const failure = failureOf(() => parseClientMessage({ v: 2, type: 'hello' }));
    expect(failure?.code).toBe('unimplemented');
    expect(failure?.details['supported']).toEqual([1]);
  });

  it('of an unknown type is refused', () => {
    expect(failureOf(() => parseClientMessage({ v: 1, type: 'delete' }))?.code).toBe('unimplemented');
  });
});

describe('daemon message', () => {
  const traffic = { fromSource: 1, fromPeers: 2, fromSeed: 3, fromLocal: 4 };

  it.each([
    { type: 'hello', version: '0.1.0', pid: 1, host: { ip: '127.0.0.1', hostname: 'h' } },
    { type: 'started', taskId: 't', peerId: 'p', contentLength: null, hostIp: '127.0.0.1' },
    { type: 'progress', completedLength: 10, contentLength: 20, ...traffic },
    { type: 'done', outcome: 'linked', contentLength: 10, taskId: 't', traffic },
    { type: 'error', code: 'origin', message: 'm', details: { statusCode: 404 } },
  ])('is handed over whole: %j', (message) => {
    expect(parseDaemonMessage(message)).toEqual(message);
  });

  it('of an unknown type is passed over', () => {
    expect(parseDaemonMessage({ type: 'news' })).toBeUndefined();
  });

  it.each([
    ['pid', { type: 'hello', version: '', pid: 'x', host: { ip: '', hostname: '' } }],
    ['contentLength', { type: 'started', taskId: '', peerId: '', contentLength: -1 }],
    ['fromSeed', { type: 'progress', completedLength: 0, fromSource: 0, fromPeers: 0 }],
    ['outcome', { type: 'done', outcome: 'moved', contentLength: 0, taskId: '', traffic }],
    [
      'traffic.fromLocal',
      { type: 'done', outcome: 'linked', contentLength: 0, taskId: '', traffic: { ...traffic, fromLocal: null } },
    ],
  ])('with a bad %s is refused', (field, message) => {
    expect(failureOf(() => parseDaemonMessage(message))?.details['field']).toBe(field);
  });
});
