import { asPriority, effectivePriority, sourcePolicyOf } from './priority.js';

const applications = [
  {
    name: 'app',
    value: 4 as const,
    urls: [
      { pattern: /\.iso$/, value: 2 as const },
      { pattern: /^http:/, value: 3 as const },
    ],
  },
];

it.each([
  ['its own', 5 as const, { application: 'app', url: 'http://a/x.iso' }, 5],
  ['of the first URL pattern that matches', 0 as const, { application: 'app', url: 'http://a/x.iso' }, 2],
  ['of the next pattern', 0 as const, { application: 'app', url: 'http://a/x' }, 3],
  ['of the application', 0 as const, { application: 'app', url: 's3://a/x' }, 4],
  ['none for an unknown application', 0 as const, { application: 'other', url: 'http://a/x' }, 0],
])('the priority that counts is %s', (_name, requested, task, expected) => {
  expect(effectivePriority(requested, task, applications)).toBe(expected);
});

it.each([
  [0, 'seed-first'],
  [1, 'forbidden'],
  [2, 'nobody'],
  [3, 'requester'],
  [4, 'seed-first'],
  [5, 'seed-first'],
  [6, 'seed-first'],
] as const)('LEVEL%d means %s', (priority, policy) => {
  expect(sourcePolicyOf(priority)).toBe(policy);
});

it('other numbers are no priorities', () => {
  expect([-1, 7, 0.5].map(asPriority)).toEqual([undefined, undefined, undefined]);
});
