import { pairedDifference } from './paired-difference.js';

it('gives the mean difference and its 95 % confidence interval', () => {
  // Differences -0.1, -0.2, -0.3: mean -0.2, deviation 0.1, t of two degrees of freedom 4.303.
  const difference = pairedDifference([90, 160, 70], [100, 200, 100]);
  expect(difference?.mean).toBeCloseTo(-0.2, 12);
  expect(difference?.low).toBeCloseTo(-0.2 - (4.303 * 0.1) / Math.sqrt(3), 12);
  expect(difference?.high).toBeCloseTo(-0.2 + (4.303 * 0.1) / Math.sqrt(3), 12);
});

it('says nothing of a single run', () => {
  expect(pairedDifference([1], [2])).toBeUndefined();
});
