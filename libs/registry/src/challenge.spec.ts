import { parseChallenges } from './challenge.js';

describe('parseChallenges', () => {
  it('reads a Bearer challenge with quoted commas', () => {
    expect(
      parseChallenges('Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"'),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: { realm: 'https://auth.example/token', service: 'reg', scope: 'repository:a/b:pull,push' },
      },
    ]);
  });

  it('reads several challenges, unquoted values and escapes', () => {
    expect(parseChallenges('Negotiate, Basic realm="a \\"b\\"", charset=UTF-8, Bearer realm=x')).toEqual([
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'a "b"', charset: 'UTF-8' } },
      { scheme: 'bearer', parameters: { realm: 'x' } },
    ]);
  });

  it.each(['', '=', '"', ', ,', 'realm="x"', '('.repeat(9000)])('finds nothing in %j', (header) => {
    expect(parseChallenges(header)).toEqual([]);
  });

  it('takes linear time for hostile input', () => {
    const startedAt = performance.now();
    for (const piece of ['a="\\', 'a,', ' ,', 'a=', '"\\"']) {
      parseChallenges(piece.repeat(Math.floor(8_000 / piece.length)));
    }
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});
