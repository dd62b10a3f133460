import { encodeRequestHead } from './request-head.js';

describe('the head of a request', () => {
  it.each([
    ['user:pass', 'user:pass'],
    ['us%40er:p%3Ass', 'us@er:p:ss'],
    ['user:100%', 'user:100%'],
  ])('has the user of the URL, %s, as Basic credentials', (userInfo, credentials) => {
    const url = new URL(`http://${userInfo}@origin.example/a`);
    const head = encodeRequestHead({ method: 'GET', url, headers: new Map(), viaProxy: false }).toString('latin1');
    expect(head).toContain(`authorization: Basic ${Buffer.from(credentials).toString('base64')}\r\n`);
  });
});
