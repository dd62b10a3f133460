import { defaultOutputName } from './output-name.js';

describe('default output name', () => {
  it.each([
    ['https://blog.example.org', 'blog.example.org'],
    ['https://blog.example.org/', 'blog.example.org'],
    ['http://127.0.0.1:8080/', '127.0.0.1'],
    ['http://h/a/b.txt', 'b.txt'],
    ['http://h/a/b.txt?x=1#y', 'b.txt'],
    ['http://h/dir/', 'dir'],
    ['http://h/with%20space', 'with space'],
    ['http://h/%E6%96%87', '文'],
    ['http://h/a%2F..%2F..%2Fetc%2Fpasswd', 'passwd'],
    ['http://h/a%2F..', 'h'],
    ['http://h/..%2F', 'h'],
    ['http://h/%00', '%00'],
    ['http://h/a%0Ab%1b%5B2J%7F', 'a%0Ab%1b[2J%7F'],
    ['http://h/%C2%85%C2%A9', '%C2%85©'],
    ['http://h/a%250A', 'a%0A'],
    ['http://h/bad%zz', 'bad%zz'],
    ['s3://bucket/key', 'key'],
  ])('of %s is %s (seed 001-9)', (url, name) => {
    expect(defaultOutputName(url)).toBe(name);
  });

  it('fits into a directory entry', () => {
    const name = defaultOutputName(`http://h/${'%E6%96%87'.repeat(200)}`);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    expect(name).toMatch(/^文+$/);
  });
});
