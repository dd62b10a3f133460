import { SHARE_MARGIN, TIME_MARGIN, validate } from './validate.js';

const TEST_TIMEOUT_MS = 180_000;

it(
  'the simulator agrees with real processes on time and on who served how much',
  async () => {
    const validation = await validate({ peers: 5, sizeMib: 48, rounds: 3 });
    // With the whole text, so that a failure shows both sides.
    expect({ agrees: validation.isWithinMargin, text: validation.text }).toEqual({
      agrees: true,
      text: validation.text,
    });
    expect(validation.timeDifference).toBeLessThanOrEqual(TIME_MARGIN);
    expect(validation.shareDifference).toBeLessThanOrEqual(SHARE_MARGIN);
    expect(validation.real.sourceShare).toBe(0);
  },
  TEST_TIMEOUT_MS,
);
