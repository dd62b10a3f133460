import { jest } from '@jest/globals';
import { Readiness } from '@dragonfly/telemetry';
import { CONDITIONS, DependencyMonitor } from './dependency-monitor.js';

describe('dependency monitor', () => {
  let failure: Error | undefined;
  let hangs: boolean;
  let readiness: Readiness;
  let monitor: DependencyMonitor;

  beforeEach(() => {
    jest.useFakeTimers();
    failure = undefined;
    hangs = false;
    readiness = new Readiness('manager', Object.values(CONDITIONS));
    readiness.set(CONDITIONS.grpc, true);
    const database = {
      ping: () => (hangs ? new Promise<void>(() => undefined) : failure ? Promise.reject(failure) : Promise.resolve()),
    };
    monitor = new DependencyMonitor(database, { ping: () => Promise.resolve() }, readiness);
  });
  afterEach(async () => {
    hangs = false;
    await jest.advanceTimersByTimeAsync(5_000);
    await monitor.stop();
    jest.useRealTimers();
  });

  it('makes the service ready after the first look', async () => {
    await monitor.start();
    expect(readiness.ready).toBe(true);
  });

  it('takes readiness away while the database fails, says why, and gives it back', async () => {
    await monitor.start();
    failure = new Error('connection refused');
    await jest.advanceTimersByTimeAsync(5_000);
    expect(readiness.snapshot().conditions[CONDITIONS.database]).toEqual({ ok: false, detail: 'connection refused' });
    failure = undefined;
    await jest.advanceTimersByTimeAsync(5_000);
    expect(readiness.ready).toBe(true);
  });

  it('counts an answer that does not come as none', async () => {
    await monitor.start();
    hangs = true;
    await jest.advanceTimersByTimeAsync(5_000);
    expect(readiness.ready).toBe(true);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(readiness.ready).toBe(false);
  });
});
