import { FirstContact } from './first-contact.js';

describe('FirstContact', () => {
  it('takes a service that has never answered for one that is starting, for a minute', () => {
    let nowMs = 1_000;
    const contact = new FirstContact(() => nowMs);
    expect(contact.level).toBe('info');
    nowMs += 60_000;
    expect(contact.level).toBe('info');
    nowMs += 1;
    expect(contact.level).toBe('warn');
  });

  it('warns at once of a service that goes away again', () => {
    const contact = new FirstContact(() => 0);
    contact.made();
    expect(contact.level).toBe('warn');
  });
});
