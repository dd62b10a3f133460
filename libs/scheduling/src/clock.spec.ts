import { jest } from '@jest/globals';
import { systemClock } from './clock.js';

afterEach(() => {
  jest.restoreAllMocks();
});

it('tells the time of day', () => {
  expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(60_000);
});

it("goes on evenly when the machine's clock is put forward", () => {
  const before = systemClock.nowMs();
  jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 7_200_000);
  expect(systemClock.nowMs() - before).toBeLessThan(60_000);
});
