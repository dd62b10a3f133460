import { jest } from '@jest/globals';
import { SharedClients } from './shared-clients.js';

class FakeClient {
  isClosed = false;
  constructor(readonly address: string) {}
  close(): void {
    this.isClosed = true;
  }
}

describe('SharedClients', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('lends one client an address, and keeps it for a minute after the last use', () => {
    const clients = new SharedClients((address) => new FakeClient(address));
    const [first, second] = [clients.acquire('a'), clients.acquire('a')];
    expect(second.client).toBe(first.client);
    expect(clients.acquire('b').client).not.toBe(first.client);
    first.release();
    first.release();
    jest.advanceTimersByTime(600_000);
    expect(first.client.isClosed).toBe(false);
    second.release();
    jest.advanceTimersByTime(59_000);
    const again = clients.acquire('a');
    expect(again.client).toBe(first.client);
    again.release();
    jest.advanceTimersByTime(61_000);
    expect(first.client.isClosed).toBe(true);
    expect(clients.acquire('a').client).not.toBe(first.client);
  });

  it('lends a broken one to nobody else, and closes it after its last user', () => {
    const clients = new SharedClients((address) => new FakeClient(address));
    const [broken, other] = [clients.acquire('a'), clients.acquire('a')];
    broken.release(true);
    const fresh = clients.acquire('a');
    expect(fresh.client).not.toBe(broken.client);
    expect(broken.client.isClosed).toBe(false);
    other.release();
    expect(broken.client.isClosed).toBe(true);
    expect(fresh.client.isClosed).toBe(false);
    clients.close();
    expect(fresh.client.isClosed).toBe(true);
  });
});
