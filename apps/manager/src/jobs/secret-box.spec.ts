import { SecretBox } from './secret-box.js';

describe('secret box', () => {
  const box = new SecretBox(Buffer.from('a signing key'));

  it('opens what it has sealed, and what another manager with the same key has', () => {
    const value = { args: { password: 'späße' } };
    const sealed = box.seal(value);
    expect(sealed).not.toContain('späße');
    expect(box.seal(value)).not.toBe(sealed);
    expect(new SecretBox(Buffer.from('a signing key')).open(sealed)).toEqual(value);
  });

  it.each<[string, (sealed: string) => string]>([
    ['changed', (sealed) => `${sealed.slice(0, -2)}AA`],
    ['cut', (sealed) => sealed.slice(0, 20)],
    ['nothing', () => ''],
  ])('says what is wrong with a sealed text that is %s', (_name, change) => {
    expect(() => box.open(change(box.seal('x')))).toThrow(/signing key has changed/);
  });

  it('says so when the key is another one', () => {
    expect(() => new SecretBox(Buffer.from('other')).open(box.seal('x'))).toThrow(/signing key has changed/);
  });
});
