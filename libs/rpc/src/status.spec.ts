import { Metadata, status as Status } from '@grpc/grpc-js';
import { DfError } from '@dragonfly/errors';
import { decodeOriginDetails, encodeOriginDetails } from './origin-details.js';
import { MAX_STATUS_DETAILS_BYTES, MAX_STATUS_TEXT_LENGTH } from './limits.js';
import { callStatus, STATUS_DETAILS_KEY, statusOfError } from './status.js';

const silent = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

describe('the status of an error', () => {
  it('keeps a status that an error brings along, with its metadata', () => {
    const metadata = new Metadata();
    metadata.set('retry-after', '3');
    const status = statusOfError({ code: Status.UNAVAILABLE, details: 'busy', metadata }, '/a/b', silent);
    expect(status).toMatchObject({ code: Status.UNAVAILABLE, details: 'busy' });
    expect(status.metadata.get('retry-after')).toEqual(['3']);
  });

  it.each([
    ['an abort', AbortSignal.abort().reason, Status.CANCELLED],
    ['a system error', Object.assign(new Error('x'), { code: 'ENOENT' }), Status.INTERNAL],
    ['an HTTP-like code', Object.assign(new Error('x'), { code: 404, details: 'x' }), Status.INTERNAL],
    ['code 0', { code: 0, details: 'OK' }, Status.INTERNAL],
    ['a string', 'oops', Status.INTERNAL],
    ['undefined', undefined, Status.INTERNAL],
  ])('of %s', (_name, error: unknown, code) => {
    expect(statusOfError(error, '/a/b', silent).code).toBe(code);
  });

  it('bounds text and details, which travel in headers', () => {
    const status = callStatus(Status.INTERNAL, 'é'.repeat(10_000), Buffer.alloc(MAX_STATUS_DETAILS_BYTES + 1));
    expect(status.details).toHaveLength(MAX_STATUS_TEXT_LENGTH);
    expect(status.metadata.get(STATUS_DETAILS_KEY)).toEqual([]);
  });
});

describe('origin details', () => {
  it('have the field names of errordetails.v2.Backend', () => {
    const error = new DfError('origin', 'failed', { details: { statusCode: 503, headers: { a: 'b' }, message: 'm' } });
    expect(JSON.parse(String(encodeOriginDetails(error)))).toEqual({
      message: 'm',
      header: { a: 'b' },
      status_code: 503,
    });
  });

  it('survive the way there and back, with and without a status code', () => {
    for (const details of [
      { statusCode: 404, headers: { server: 'x' }, message: 'Not Found' },
      { headers: {}, message: 'connection refused' },
    ]) {
      const bytes = encodeOriginDetails(new DfError('origin', 'failed', { details }));
      expect(decodeOriginDetails(bytes ?? Buffer.alloc(0))).toEqual(details);
    }
  });

  it('leave headers out rather than not fit', () => {
    const headers = { cookie: 'x'.repeat(MAX_STATUS_DETAILS_BYTES) };
    const bytes = encodeOriginDetails(new DfError('origin', 'failed', { details: { headers, statusCode: 500 } }));
    expect(decodeOriginDetails(bytes ?? Buffer.alloc(0))).toEqual({ message: 'failed', headers: {}, statusCode: 500 });
  });

  it.each(['', 'null', '[]', '{}', '{"message":1}', '\xff\xfe'])('are not read from %j', (text) => {
    expect(decodeOriginDetails(Buffer.from(text, 'latin1'))).toBeUndefined();
  });
});
