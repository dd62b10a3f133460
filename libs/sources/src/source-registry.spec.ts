import { HttpBackend } from './http/http-backend.js';
import { SourceRegistry } from './source-registry.js';

describe('SourceRegistry', () => {
  it('finds the backend of a URL by its scheme', async () => {
    const registry = new SourceRegistry();
    const backend = new HttpBackend();
    registry.register(backend);
    expect(registry.get('http://a/')).toBe(backend);
    expect(registry.get('HTTPS://a/')).toBe(backend);
    expect(() => registry.get('gopher://a/')).toThrow(/"gopher": must be one of http, https/);
    for (const url of ['', 'no-scheme', '//host/path']) {
      expect(() => registry.get(url)).toThrow(/must begin with a scheme/);
    }
    await registry.close();
  });
});
