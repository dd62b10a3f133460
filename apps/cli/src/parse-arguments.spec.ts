import { DfError } from '@dragonfly/errors';
import { parseArguments } from './parse-arguments.js';

/** What was parsed, in a form that is easy to write down. */
function parsed(...words: string[]): Record<string, unknown> {
  const { values, lists, positionals } = parseArguments(words);
  return {
    ...Object.fromEntries(values),
    ...Object.fromEntries(lists),
    ...(positionals.length > 0 && { positionals }),
  };
}

describe('command line', () => {
  it.each<[line: string, result: object]>([
    ['http://h/a -O /tmp/a', { output: '/tmp/a', positionals: ['http://h/a'] }],
    ['-u=http://h/a', { url: 'http://h/a' }],
    ['-u http://h/a -O=/tmp/a', { url: 'http://h/a', output: '/tmp/a' }],
    ['-uhttp://h/a?b=c', { url: 'http://h/a?b=c' }],
    ['--url=http://h/a?b=c -O/tmp/a', { url: 'http://h/a?b=c', output: '/tmp/a' }],
    ['--url http://h/a --output a', { url: 'http://h/a', output: 'a' }],
    ['--overwrite --no-progress', { overwrite: 'true', 'no-progress': 'true' }],
    ['--overwrite=false', { overwrite: 'false' }],
    ['--overwrite=1', { overwrite: 'true' }],
    ['-b', { 'show-progress': 'true' }],
    ['-bhV', { 'show-progress': 'true', help: 'true', version: 'true' }],
    ['-bO file', { 'show-progress': 'true', output: 'file' }],
    ['-H a:1 --header b:2 -H=c:3', { header: ['a:1', 'b:2', 'c:3'] }],
    ['--filtered-query-param a --filtered-query-param=b', { 'filtered-query-param': ['a', 'b'] }],
    ['--disable-back-source', { 'disable-back-to-source': 'true' }],
    ['--disable-back-to-source', { 'disable-back-to-source': 'true' }],
    ['--daemon-sock /a.sock', { endpoint: '/a.sock' }],
    ['-e /a.sock', { endpoint: '/a.sock' }],
    ['--tag one --tag two', { tag: 'two' }],
    ['--tag=', { tag: '' }],
    ['--tag -x', { tag: '-x' }],
    ['-- -odd', { positionals: ['-odd'] }],
    ['-', { positionals: ['-'] }],
  ])('reads %s', (line, result) => {
    expect(parsed(...line.split(' '))).toEqual(result);
  });

  it.each<[line: string, result: object]>([
    ['-p 3', { priority: '3' }],
    ['-p=6', { priority: '6' }],
    ['-p0', { priority: '0' }],
    ['-p LEVEL4', { priority: 'LEVEL4' }],
    ['-p p2p', { pattern: 'p2p' }],
    ['-p=seed-peer', { pattern: 'seed-peer' }],
    ['-psource', { pattern: 'source' }],
    ['--pattern source', { pattern: 'source' }],
    ['--priority 3', { priority: '3' }],
    ['-l debug', { 'log-level': 'debug' }],
    ['-l=WARN', { 'log-level': 'WARN' }],
    ['-linfo', { 'log-level': 'info' }],
    ['-b -l trace', { 'show-progress': 'true', 'log-level': 'trace' }],
  ])('takes -p and -l by their value: %s', (line, result) => {
    expect(parsed(...line.split(' '))).toEqual(result);
  });

  it.each<[line: string, message: string]>([
    ['-p fast', '-p: "fast" is neither a priority (0..6) nor a pattern (p2p, seed-peer, source)'],
    ['-l http://h/a', '-l is not supported yet'],
    ['-l', '-l is not supported yet'],
    ['--recursive', '--recursive is not supported yet'],
    ['-r', '-r is not supported yet'],
    ['-br', '-r is not supported yet'],
    ['--hf-token=x', '--hf-token is not supported yet'],
    ['--storage-endpoint x', '--storage-endpoint is not supported yet'],
    ['--original-offset', '--original-offset is not supported yet'],
    ['-O', '-O needs a value'],
    ['--tag', '--tag needs a value'],
    ['--overwrite=maybe', '--overwrite: "maybe" is not true or false'],
    ['--outptu x', 'unknown flag --outptu; did you mean --output?'],
    ['--zzzzzzzz', 'unknown flag --zzzzzzzz; see dfget --help'],
    ['-z', 'unknown flag -z; see dfget --help'],
  ])('refuses %s and says why', (line, message) => {
    let failure: unknown;
    try {
      parseArguments(line.split(' '));
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(DfError);
    expect(failure).toMatchObject({ code: 'invalid-argument', message });
  });
});
