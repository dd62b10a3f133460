import { createHmac } from 'node:crypto';
import { SessionTokens } from './session-tokens.js';

const KEY = Buffer.from('a key of the tests, long enough for HS256');
const HOUR_MS = 3_600_000;

describe('session tokens', () => {
  let now: Date;
  let tokens: SessionTokens;

  beforeEach(() => {
    now = new Date('2026-01-01T00:00:00.500Z');
    tokens = new SessionTokens(KEY, 48 * HOUR_MS, 72 * HOUR_MS, () => now);
  });

  const sign = (header: object, payload: object, key: Uint8Array = KEY): string => {
    const text = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  };

  it('carries header and claims as the console reads them, and nothing else', async () => {
    const { token, expiresAt } = await tokens.issue(7);
    const [header, payload] = token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as unknown);
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(payload).toEqual({ id: 7, orig_iat: 1767225600, exp: 1767225600 + 48 * 3600 });
    expect(expiresAt).toEqual(new Date('2026-01-03T00:00:00Z'));
    await expect(tokens.verify(token)).resolves.toMatchObject({ userId: 7 });
  });

  it('takes a token that the original signed with the same key', async () => {
    const token = sign({ alg: 'HS256', typ: 'JWT' }, { exp: 1767229200, id: 1, orig_iat: 1767225600 });
    await expect(tokens.verify(token)).resolves.toMatchObject({ userId: 1 });
  });

  it('ends with its lifetime but can be renewed within the window', async () => {
    const { token } = await tokens.issue(7);
    now = new Date('2026-01-02T23:59:59Z');
    await tokens.verify(token);
    now = new Date('2026-01-03T00:00:00Z');
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(tokens.verifyForRefresh(token)).resolves.toMatchObject({ userId: 7 });
    now = new Date('2026-01-04T00:00:01Z');
    await expect(tokens.verifyForRefresh(token)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it.each([
    ['another key', sign({ alg: 'HS256' }, { exp: 2e9, id: 1, orig_iat: 0 }, Buffer.from('x'.repeat(40)))],
    ['no algorithm', `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
    ['no id', sign({ alg: 'HS256' }, { exp: 2e9, orig_iat: 0 })],
    ['an id that is no number', sign({ alg: 'HS256' }, { exp: 2e9, id: '1', orig_iat: 0 })],
    ['no text', ''],
    ['some text', 'abc'],
  ])('refuses a token with %s', async (_name, token) => {
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(tokens.verifyForRefresh(token)).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
