import { atMostEvery } from './at-most-every.js';

it('passes one call on in each interval', () => {
  let nowMs = 0;
  const passed: number[] = [];
  const call = atMostEvery(
    1_000,
    (value: number) => void passed.push(value),
    () => nowMs,
  );
  for (const timeMs of [0, 1, 999, 1_000, 1_500, 2_000]) {
    nowMs = timeMs;
    call(timeMs);
  }
  expect(passed).toEqual([0, 1_000, 2_000]);
});
