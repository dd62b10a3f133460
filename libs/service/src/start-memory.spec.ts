import { jest } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { CALM_MS, collectAllGarbage, releaseStartMemory } from './start-memory.js';

const log = { debug: () => {} };

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('releaseStartMemory', () => {
  it('collects once, when the process has had nothing to do for a while', () => {
    let utilization = 0.4;
    const collect = jest.fn<() => void>();
    releaseStartMemory(log, new AbortController().signal, { utilization: () => utilization, collect });
    jest.advanceTimersByTime(10 * CALM_MS);
    expect(collect).not.toHaveBeenCalled();
    utilization = 0.01;
    jest.advanceTimersByTime(CALM_MS);
    expect(collect).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(10 * CALM_MS);
    expect(collect).toHaveBeenCalledTimes(1);
  });

  it('does nothing in a process that stops', () => {
    const collect = jest.fn<() => void>();
    const stopping = new AbortController();
    releaseStartMemory(log, stopping.signal, { utilization: () => 0, collect });
    stopping.abort();
    jest.advanceTimersByTime(10 * CALM_MS);
    expect(collect).not.toHaveBeenCalled();
  });
});

it('collectAllGarbage leaves nothing that is not referred to', async () => {
  jest.useRealTimers();
  const reference = new WeakRef({ some: 'thing' });
  // A weak reference holds on until the job that made it is over.
  await setImmediate();
  collectAllGarbage();
  expect(reference.deref()).toBeUndefined();
});
