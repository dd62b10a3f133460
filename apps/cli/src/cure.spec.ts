import { DfError, ERROR_CODES, type ErrorCode } from '@dragonfly/errors';
import { cureFor, type Cure } from './cure.js';
import { readOptions, type DownloadOptions } from './options.js';
import { parseArguments } from './parse-arguments.js';

function options(...flags: string[]): DownloadOptions {
  return readOptions(parseArguments(['http://h/a', ...flags]), { cwd: '/', env: {} });
}

/** One row per code: what dfget does when a daemon says so. */
const CURES: Readonly<Record<ErrorCode, Cure>> = {
  'invalid-argument': 'none',
  'not-found': 'source',
  'already-exists': 'none',
  'permission-denied': 'none',
  unauthenticated: 'none',
  'failed-precondition': 'none',
  'resource-exhausted': 'source',
  'no-space': 'source',
  unavailable: 'source',
  'deadline-exceeded': 'none',
  cancelled: 'none',
  unimplemented: 'source',
  'data-loss': 'source',
  origin: 'source',
  internal: 'source',
};

describe('cure', () => {
  it.each(ERROR_CODES)('for a daemon that says %s', (code) => {
    expect(cureFor(new DfError(code, ''), options())).toBe(CURES[code]);
  });

  it('leaves the source alone when the digest the user gave does not match', () => {
    const error = new DfError('data-loss', '', { details: { expected: 'sha256:00' } });
    expect(cureFor(error, options())).toBe('none');
  });

  it('is none for an answer of the source', () => {
    expect(cureFor(new DfError('origin', '', { details: { statusCode: 404 } }), options())).toBe('none');
  });

  it.each([
    ['permission-denied', 'EACCES'],
    ['not-found', 'ENOENT'],
    ['permission-denied', 'EROFS'],
  ] as const)('is a transfer when the daemon cannot write the output (%s, %s)', (code, errno) => {
    const error = new DfError(code, '', { details: { errno } });
    expect(cureFor(error, options())).toBe('transfer');
    expect(cureFor(error, options('--transfer-from-dfdaemon'))).toBe('source');
    expect(cureFor(error, options('--transfer-from-dfdaemon', '--disable-back-to-source'))).toBe('none');
  });

  it.each([[[]], [['--transfer-from-dfdaemon']]])('is none when there is no room for the output (%j)', (flags) => {
    const error = new DfError('no-space', '', { details: { errno: 'ENOSPC', path: '/a' } });
    expect(cureFor(error, options(...flags))).toBe('none');
  });

  it('is none when dfget itself cannot write the output', () => {
    const error = new DfError('permission-denied', '', { details: { errno: 'EACCES', path: '/a' } });
    expect(cureFor(error, options('--transfer-from-dfdaemon'))).toBe('none');
    expect(cureFor(error, options())).toBe('transfer');
  });

  it('is never what the user has forbidden', () => {
    expect(cureFor(new DfError('internal', ''), options('--disable-back-to-source'))).toBe('none');
    expect(cureFor(new DfError('internal', ''), options('--force-hard-link'))).toBe('none');
  });
});
