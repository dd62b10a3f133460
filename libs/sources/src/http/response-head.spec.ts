import fc from 'fast-check';
import {
  framingOf,
  HttpSyntaxError,
  keepsAlive,
  MAX_HEAD_BYTES,
  MAX_HEADER_LINES,
  MAX_LINE_BYTES,
  parseResponseHead,
} from './response-head.js';

const parse = (...lines: string[]): ReturnType<typeof parseResponseHead> =>
  parseResponseHead(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));

describe('parseResponseHead', () => {
  it('reads status, reason and headers', () => {
    expect(
      parse('HTTP/1.1 206 Partial Content', 'Content-Length: 5', 'ETag:"a"', 'x-empty:', 'X-Spaces: \t a b \t '),
    ).toEqual({
      minorVersion: 1,
      statusCode: 206,
      reason: 'Partial Content',
      headers: { 'content-length': '5', etag: '"a"', 'x-empty': '', 'x-spaces': 'a b' },
    });
    expect(parse('HTTP/1.0 200')).toMatchObject({ minorVersion: 0, reason: '' });
  });

  it('joins repeated headers', () => {
    expect(parse('HTTP/1.1 200 OK', 'Via: a', 'VIA: b').headers).toEqual({ via: 'a, b' });
  });

  it('gives no header a meaning that JavaScript would', () => {
    const { headers } = parse('HTTP/1.1 200 OK', '__proto__: x', 'constructor: y');
    expect(Object.keys(headers)).toEqual(['__proto__', 'constructor']);
    expect(parse('HTTP/1.1 200 OK').headers['content-length']).toBeUndefined();
  });

  it.each([
    ['no HTTP', ['SSH-2.0-OpenSSH_9.2']],
    ['another version', ['HTTP/2.0 200 OK']],
    ['a short status', ['HTTP/1.1 20 OK']],
    ['a status from 0', ['HTTP/1.1 099 OK']],
    ['a folded line', ['HTTP/1.1 200 OK', 'a: b', ' c']],
    ['a space before the colon', ['HTTP/1.1 200 OK', 'a : b']],
    ['no colon', ['HTTP/1.1 200 OK', 'header']],
    ['an empty name', ['HTTP/1.1 200 OK', ': value']],
    ['a bare line feed', ['HTTP/1.1 200 OK', 'a: b\nc: d']],
    ['a bare carriage return', ['HTTP/1.1 200 OK', 'a: b\rc: d']],
    ['a NUL', ['HTTP/1.1 200 OK', 'a: b\0']],
    ['too many lines', ['HTTP/1.1 200 OK', ...Array.from({ length: MAX_HEADER_LINES + 1 }, () => 'a: b')]],
    ['a long line', ['HTTP/1.1 200 OK', `a: ${'b'.repeat(MAX_LINE_BYTES)}`]],
    ['a long head', ['HTTP/1.1 200 OK', ...Array.from({ length: 5 }, () => `a: ${'b'.repeat(MAX_HEAD_BYTES / 5)}`)]],
  ])('refuses %s', (_, lines) => {
    expect(() => parse(...lines)).toThrow(HttpSyntaxError);
  });

  it('throws nothing but HttpSyntaxError, whatever comes', () => {
    const piece = fc.constantFrom(
      'HTTP/1.1 200 OK',
      '\r\n',
      '\n',
      'content-length: ',
      '5',
      ',',
      'transfer-encoding: chunked',
      ':',
      '\0',
      'é',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 20 }), (parts) => {
        try {
          framingOf(parseResponseHead(Buffer.from(`${parts.join('')}\r\n\r\n`, 'latin1')), 'GET');
        } catch (error) {
          expect(error).toBeInstanceOf(HttpSyntaxError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('framingOf', () => {
  it.each([
    ['HTTP/1.1 200 OK', ['Content-Length: 5'], { kind: 'length', lengthBytes: 5 }],
    ['HTTP/1.1 200 OK', ['Content-Length: 5, 5'], { kind: 'length', lengthBytes: 5 }],
    ['HTTP/1.1 200 OK', ['Content-Length: 0'], { kind: 'none' }],
    ['HTTP/1.1 200 OK', ['Transfer-Encoding: Chunked'], { kind: 'chunked' }],
    ['HTTP/1.1 200 OK', [], { kind: 'until-close' }],
    ['HTTP/1.1 204 No Content', [], { kind: 'none' }],
    ['HTTP/1.1 304 Not Modified', ['Content-Length: 5'], { kind: 'none' }],
  ])('%s %j is %j', (status, headers, expected) => {
    expect(framingOf(parse(status, ...headers), 'GET')).toEqual(expected);
    expect(framingOf(parse(status, ...headers), 'HEAD')).toEqual({ kind: 'none' });
  });

  it.each([
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['a signed length', ['Content-Length: +5']],
    ['a hexadecimal length', ['Content-Length: 0x5']],
    ['an empty length', ['Content-Length:']],
    ['a length beyond 2^53', ['Content-Length: 9007199254740993']],
    ['length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['another coding', ['Transfer-Encoding: gzip, chunked']],
    ['chunks named twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
  ])('refuses %s', (_, headers) => {
    expect(() => framingOf(parse('HTTP/1.1 200 OK', ...headers), 'GET')).toThrow(HttpSyntaxError);
  });
});

describe('keepsAlive', () => {
  it.each([
    ['HTTP/1.1 200 OK', [], true],
    ['HTTP/1.1 200 OK', ['Connection: Close'], false],
    ['HTTP/1.1 200 OK', ['Connection: x, close'], false],
    ['HTTP/1.0 200 OK', [], false],
    ['HTTP/1.0 200 OK', ['Connection: keep-alive'], true],
  ])('%s %j: %s', (status, headers, expected) => {
    expect(keepsAlive(parse(status, ...headers))).toBe(expected);
  });
});
