import { setTimeout as delay } from 'node:timers/promises';
import { sleep, within } from './backoff.js';

describe('waiting', () => {
  // Node makes one millisecond of a delay beyond 2^31 - 1: an interval of a month would be a busy loop.
  const aMonthMs = 31 * 24 * 3_600_000;

  it('sleeps through an interval that is longer than a timer can hold', async () => {
    const controller = new AbortController();
    const slept = sleep(aMonthMs, controller.signal);

    expect(await Promise.race([slept, delay(50, 'still asleep')])).toBe('still asleep');
    controller.abort();
    expect(await slept).toBe(false);
  });

  it('is not late before a limit that is longer than a timer can hold', async () => {
    expect(await within(delay(50, 'answered'), aMonthMs)).toBe('answered');
  });
});
