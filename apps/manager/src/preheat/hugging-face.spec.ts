import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AddressGuard, GuardedHttp } from '@dragonfly/registry';
import { huggingFaceFiles, parseHuggingFaceUrl } from './hugging-face.js';

describe('Hugging Face repositories', () => {
  it.each<[string, object]>([
    ['hf://org/model', { kind: 'models', repository: 'org/model', revision: 'main', path: '' }],
    [
      'hf://models/org/model@v1/sub/a.bin',
      { kind: 'models', repository: 'org/model', revision: 'v1', path: 'sub/a.bin' },
    ],
    ['hf://datasets/org/data@abc', { kind: 'datasets', repository: 'org/data', revision: 'abc', path: '' }],
  ])('%s', (url, expected) => {
    expect(parseHuggingFaceUrl(url)).toEqual(expected);
  });

  it.each(['hf://', 'hf://org', 'hf://../../etc', 'hf://org/model@../x'])('refuses %s', (url) => {
    expect(() => parseHuggingFaceUrl(url)).toThrow(/hf URL/);
  });

  it('lists all pages with the token, and follows to no other place', async () => {
    const seen: string[] = [];
    const hub = createServer((request, response) => {
      seen.push(`${request.url} ${request.headers.authorization}`);
      const isFirst = !request.url?.includes('cursor');
      response.setHeader(
        'link',
        isFirst ? '</api/models/org/m/tree/main?cursor=2>; rel="next"' : '<http://evil.example/>; rel="next"',
      );
      response.end(
        JSON.stringify(
          isFirst
            ? [
                { type: 'file', path: 'a b.bin' },
                { type: 'directory', path: 'sub' },
              ]
            : [{ type: 'file', path: 'sub/c.bin' }],
        ),
      );
    });
    await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
    const http = new GuardedHttp({ guard: new AddressGuard({ allow: ['loopback'] }) });
    const list = (url: string): Promise<string[]> =>
      huggingFaceFiles(http, endpoint, url, { authorization: 'Bearer t' }, AbortSignal.timeout(5_000));
    await expect(list('hf://org/m')).resolves.toEqual([
      `${endpoint}/org/m/resolve/main/a%20b.bin`,
      `${endpoint}/org/m/resolve/main/sub/c.bin`,
    ]);
    expect(seen).toEqual([
      '/api/models/org/m/tree/main?recursive=true Bearer t',
      '/api/models/org/m/tree/main?cursor=2 Bearer t',
    ]);
    await expect(list('hf://org/m/sub')).resolves.toEqual([`${endpoint}/org/m/resolve/main/sub/c.bin`]);
    await expect(list('hf://org/m/none')).rejects.toMatchObject({ code: 'not-found' });
    await http.close();
    hub.closeAllConnections();
    hub.close();
  });
});
