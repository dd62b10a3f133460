import { DfError } from '@dragonfly/errors';
import { readOptions, type DownloadOptions } from './options.js';
import { parseArguments } from './parse-arguments.js';

const MIB = 1024 * 1024;

function options(words: readonly string[], env: NodeJS.ProcessEnv = {}): DownloadOptions {
  return readOptions(parseArguments(words), { cwd: '/here', env });
}

function refusal(words: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  try {
    options(words, env);
  } catch (error) {
    if (error instanceof DfError && error.code === 'invalid-argument') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('options', () => {
  it('of the form of today refuse an existing output, keep silent and end after two hours', () => {
    expect(options(['http://h/a', '-O', 'b'])).toMatchObject({
      url: 'http://h/a',
      outputPath: '/here/b',
      mayReplaceOutput: false,
      makesDirectories: false,
      printsLines: false,
      isClassicForm: false,
      timeoutMs: 7_200_000,
      priority: 6,
      schedulingPolicy: 'auto',
      filteredQueryParams: undefined,
      progress: 'after-delay',
      mayStartDaemon: true,
      logLevel: undefined,
    });
  });

  it('of the -u form replace the output, print lines and have no time limit', () => {
    expect(options(['-u=http://h/a', '-O', '/x/b'])).toMatchObject({
      outputPath: '/x/b',
      mayReplaceOutput: true,
      makesDirectories: true,
      printsLines: true,
      isClassicForm: true,
      timeoutMs: 0,
    });
  });

  it('replace an output that was not named', () => {
    expect(options(['http://h/dir/file.txt'])).toMatchObject({ outputPath: '/here/file.txt', mayReplaceOutput: true });
  });

  it.each<[flags: string, result: Partial<DownloadOptions>]>([
    ['--overwrite -O b', { mayReplaceOutput: true }],
    ['--verbose', { printsLines: true, isVerbose: true }],
    ['--timeout 0', { timeoutMs: 0 }],
    ['--timeout 1m30s', { timeoutMs: 90_000 }],
    ['--ratelimit 20M', { rateLimitBytesPerSecond: 20 * MIB }],
    ['--ratelimit 1024Mi', { rateLimitBytesPerSecond: 1024 * MIB }],
    ['--ratelimit 5MiB/s', { rateLimitBytesPerSecond: 5 * MIB }],
    ['--piece-length 4mib', { pieceLengthBytes: 4 * MIB }],
    ['--range 0-9', { range: { start: 0, length: 10 } }],
    ['--range bytes=5-5', { range: { start: 5, length: 1 } }],
    [`--digest SHA256:${'A'.repeat(64)}`, { digest: `sha256:${'a'.repeat(64)}` }],
    ['--filter a&b&', { filteredQueryParams: ['a', 'b'] }],
    ['--filtered-query-param a --filter b', { filteredQueryParams: ['a', 'b'] }],
    ['-p LEVEL3', { priority: 3 }],
    ['-p source', { isSourceOnly: true }],
    ['-p seed-peer', { schedulingPolicy: 'always', isSourceOnly: false }],
    ['-p p2p', { schedulingPolicy: 'auto', isSourceOnly: false }],
    ['--scheduling-policy always', { schedulingPolicy: 'always' }],
    ['-e unix:///run/d.sock', { endpoint: '/run/d.sock' }],
    ['-e d.sock', { endpoint: '/here/d.sock' }],
    ['--no-daemon', { mayStartDaemon: false }],
    [
      '--workhome w --logdir l --config c.yaml',
      { workHome: '/here/w', logDirectory: '/here/l', daemonConfigFile: '/here/c.yaml' },
    ],
    ['--no-progress', { progress: 'never' }],
    ['-b', { progress: 'at-once' }],
    ['--console', { logLevel: 'info' }],
    ['--console --verbose', { logLevel: 'debug' }],
    ['--console -l warn', { logLevel: 'warn' }],
    ['--report r.json', { reportFile: '/here/r.json' }],
  ])('read %s', (flags, result) => {
    expect(options(['http://h/a', ...flags.split(' ')])).toMatchObject(result);
  });

  it('join headers of one name, whatever its case', () => {
    const { headers } = options([
      'http://h/a',
      '-H',
      'Accept:  text/plain ',
      '-H',
      'X: a:b',
      '-H',
      'accept: */*',
      '-H',
      'Empty:',
    ]);
    expect(headers).toEqual({ Accept: 'text/plain, */*', X: 'a:b', Empty: '' });
  });

  it('come from the environment when there is no flag', () => {
    const env = {
      DFGET_TAG: 'env',
      DFGET_PRIORITY: '2',
      DFGET_OVERWRITE: 'true',
      DFGET_TIMEOUT: '5s',
      DFGET_NO_PROGRESS: '1',
      DFGET_DISABLE_BACK_TO_SOURCE: 'false',
      DFGET_REPORT: '/r.json',
      DFGET_ENDPOINT: '/e.sock',
      DFGET_APPLICATION: '',
    };
    expect(options(['http://h/a', '-O', 'b'], env)).toMatchObject({
      tag: 'env',
      application: '',
      priority: 2,
      mayReplaceOutput: true,
      timeoutMs: 5000,
      progress: 'never',
      disableBackToSource: false,
      reportFile: '/r.json',
      endpoint: '/e.sock',
    });
    expect(options(['http://h/a', '--tag', 'flag', '--overwrite=false', '-O', 'b'], env)).toMatchObject({
      tag: 'flag',
      mayReplaceOutput: false,
    });
  });

  it.each<[words: string, message: RegExp]>([
    ['', /^no URL given; try: dfget http/],
    ['http://h/a http://h/b', /"http:\/\/h\/b" is one too many/],
    ['-u http://h/a http://h/b', /the URL is given twice/],
    ['example.org/file', /is not an absolute URL/],
    ['http://[/', /is not a valid URL/],
    ['http://h/a -O -', /standard output is not supported yet/],
    ['http://h/a --range 9-0', /--range: "9-0" is not FIRST-LAST/],
    ['http://h/a --range 5-', /--range/],
    ['http://h/a --digest sha256:abc', /^--digest: /],
    ['http://h/a --digest blake3:abc', /^--digest: /],
    ['http://h/a -H novalue', /^--header: "novalue" is not of the form/],
    ['http://h/a --timeout soon', /^--timeout: "soon" is not a duration/],
    ['http://h/a --ratelimit fast', /^--ratelimit: "fast" is not a size/],
    ['http://h/a --piece-length 1MiB', /^--piece-length: "1MiB" is less than 4MiB/],
    ['http://h/a -p 7', /^--priority: "7" is not a number from 0 to 6/],
    ['http://h/a --pattern cdn', /^--pattern: "cdn" is not one of p2p, seed-peer, source/],
    ['http://h/a --scheduling-policy never', /^--scheduling-policy/],
    ['http://h/a --console -l 3', /^--log-level: "3" is not one of trace/],
    ['http://h/a -p source --disable-back-source', /exclude each other/],
    ['http://h/a --force-hard-link --range 0-1', /exclude each other/],
    ['http://h/a --force-hard-link --transfer-from-dfdaemon', /--force-hard-link needs a daemon/],
  ])('refuse %s by name', (words, message) => {
    expect(refusal(words === '' ? [] : words.split(' '))).toMatch(message);
  });

  it('name the variable when the mistake is in the environment', () => {
    expect(refusal(['http://h/a'], { DFGET_TIMEOUT: 'soon' })).toMatch(/^DFGET_TIMEOUT: "soon"/);
    expect(refusal(['http://h/a'], { DFGET_OVERWRITE: 'perhaps' })).toMatch(/^DFGET_OVERWRITE: "perhaps"/);
  });
});
