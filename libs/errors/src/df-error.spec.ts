import { readFile } from 'node:fs/promises';
import {
  DfError,
  ERROR_CODES,
  codeOfGrpcStatus,
  exitCodeOf,
  grpcStatusOf,
  httpStatusOf,
  isErrnoException,
} from './index.js';

describe('DfError.from', () => {
  it('returns a DfError as it is', () => {
    const error = new DfError('not-found', 'task x not found');
    expect(DfError.from(error)).toBe(error);
  });

  it('maps an errno and keeps it in the details', async () => {
    const caught: unknown = await readFile('/definitely/not/here').catch((error: unknown) => error);
    expect(isErrnoException(caught)).toBe(true);
    expect(DfError.from(caught)).toMatchObject({ code: 'not-found', details: { errno: 'ENOENT' }, cause: caught });
  });

  it('gives an unknown errno the fallback code', () => {
    expect(DfError.from(Object.assign(new Error('odd'), { code: 'EODD' }), 'unavailable').code).toBe('unavailable');
  });

  it('tells an abort from a timeout', () => {
    expect(DfError.from(AbortSignal.abort().reason).code).toBe('cancelled');
    expect(DfError.from(new DOMException('late', 'TimeoutError')).code).toBe('deadline-exceeded');
  });

  it('keeps the status of a gRPC error', () => {
    const caught = Object.assign(new Error('5 NOT_FOUND: peer p not found'), { code: 5, details: 'peer p not found' });
    expect(DfError.from(caught)).toMatchObject({
      code: 'not-found',
      message: 'peer p not found',
      details: { status: 5 },
    });
  });

  it.each([
    [
      'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:65003. Resolution note: ',
      'no connection: connect ECONNREFUSED 127.0.0.1:65003',
    ],
    [
      'No connection established. Last error: Failed to connect (2026-01-01T00:00:00.000Z). Resolution note: ',
      'no connection: the server closes the connection at once; it may want TLS, or another certificate (security.enable, or the keys caCert, cert and key)',
    ],
    ['No connection established. Last error: null. Resolution note: name not found', 'no connection: name not found'],
    ['Name resolution failed for target dns:manager:65003', 'Name resolution failed for target dns:manager:65003'],
  ])('says plainly why there is no connection: %s', (details, message) => {
    expect(DfError.from(Object.assign(new Error(details), { code: 14, details }))).toMatchObject({
      code: 'unavailable',
      message,
    });
  });

  it('accepts what is no Error at all', () => {
    expect(DfError.from('boom')).toMatchObject({ code: 'internal', message: 'boom' });
  });

  it('recognises the class of another copy of the package', () => {
    class DfErrorOfACopy extends Error {
      override readonly name = 'DfError';
      readonly code = 'no-space';
      readonly details = { path: '/x' };
      readonly retryable = false;
    }
    expect(DfError.from(new DfErrorOfACopy('full'))).toMatchObject({ code: 'no-space', details: { path: '/x' } });
  });

  it('is retryable by default only where repeating can help', () => {
    const retryable = ERROR_CODES.filter((code) => new DfError(code, '').retryable);
    expect(retryable).toEqual(['unavailable', 'deadline-exceeded']);
  });
});

describe('boundary tables', () => {
  it.each(ERROR_CODES)('shows %s as a failure at every boundary', (code) => {
    expect(grpcStatusOf(code)).toBeGreaterThan(0);
    expect(httpStatusOf(code)).toBeGreaterThanOrEqual(400);
    expect(exitCodeOf(code)).toBeGreaterThan(0);
  });

  it('reads its own gRPC statuses back, but for the codes gRPC has no status for', () => {
    const lossy = ERROR_CODES.filter((code) => codeOfGrpcStatus(grpcStatusOf(code)) !== code);
    expect(lossy).toEqual(['no-space', 'origin']);
  });
});
