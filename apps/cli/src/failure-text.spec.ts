import { DfError } from '@dragonfly/errors';
import { failureText, plainReason, shownUrl } from './failure-text.js';

describe('a URL in the lines of dfget', () => {
  it.each([
    ['https://h/a?x=1#y', 'https://h/a?x=1#y'],
    ['https://user:p%40ss@h:8/a', 'https://user:***@h:8/a'],
    ['https://:secret@h/', 'https://:***@h/'],
    ['https://user:a:b@c@h/', 'https://user:***@h/'],
    ['https://token@h/a', 'https://token@h/a'],
    ['https://h:8080/a:b@c', 'https://h:8080/a:b@c'],
    ['https://h/?q=a:b@c', 'https://h/?q=a:b@c'],
  ])('%s is %s: without its password', (url, shown) => {
    expect(shownUrl(url)).toBe(shown);
    expect(failureText(new DfError('internal', 'why'), url, false)).toBe(`dfget: cannot download ${shown}: why`);
  });
});

describe('a reason', () => {
  it.each(['http://h/a', 'http://h/a?signature=1', 'http://user:secret@h/a?x#y'])('does not repeat %s', (url) => {
    const error = new DfError('origin', 'http://h/a: answered 401 Unauthorized', { details: { statusCode: 401 } });
    expect(failureText(error, url, false)).toMatch(/: the source answered 401 Unauthorized\n/);
  });

  it.each([
    [
      "output /full/f: ENOSPC: no space left on device, copyfile '/store/data/3fc' -> '/full/.f.part'",
      'output /full/f: no space left on device',
    ],
    ["cannot open: EACCES: permission denied, open '/a, b'", 'cannot open: permission denied'],
    ['ENOSPC: no space left on device, write', 'no space left on device'],
    ['no connection: connect ECONNREFUSED 127.0.0.1:1', 'no connection: connect ECONNREFUSED 127.0.0.1:1'],
    ['the source answered 404 Not Found', 'the source answered 404 Not Found'],
  ])('is for people: %s', (message, plain) => {
    expect(plainReason(message)).toBe(plain);
  });

  it('has its system call with --verbose', () => {
    const error = new DfError('internal', "ENOSPC: no space left on device, write '/a'");
    expect(failureText(error, 'http://h/', true)).toContain("write '/a'");
  });
});
