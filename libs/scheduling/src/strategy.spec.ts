import { defaultStrategy, idcScore, loadScore, locationScore } from './strategy.js';
import { aHost, aPeer, aTask } from './testing/index.js';

const MIB = 1024 * 1024;
const GIGABIT = 1_000_000_000;

describe('load of a host', () => {
  it('is worth nothing when the host does not say what it can send', () => {
    expect(loadScore(aHost({ maxTxBitsPerSecond: 0 }))).toBe(0);
  });

  it('is worth everything when nobody fetches from it', () => {
    expect(loadScore(aHost())).toBeCloseTo(0.5 + 0.3 + 0.2, 12);
  });

  it.each([
    ['half its peak', { txBits: GIGABIT / 2 }, 0.5 * 0.5 + 0.3 + 0.2],
    ['its whole peak', { txBits: GIGABIT }, 0.3 + 0.2],
    ['a quarter of a minute of content', { uploadContentBytes: (GIGABIT / 8) * 15 }, 0.5 + 0.3 * 0.75 + 0.2],
    ['a minute of content', { uploadContentBytes: (GIGABIT / 8) * 60 }, 0.5 + 0.2],
    ['as many pieces as it is meant for', { concurrentUploadPieceCount: 7 }, 0.5 + 0.3 + 0.2],
    ['twice as many pieces', { concurrentUploadPieceCount: (2 * GIGABIT) / (16 * MIB) / 8 }, 0.5 + 0.3 + 0.2 * 0.5],
  ])('with %s', (_name, load, expected) => {
    expect(loadScore(Object.assign(aHost(), load))).toBeCloseTo(expected, 12);
  });

  it('gives no points for concurrency below one piece of 16 MiB a second', () => {
    expect(loadScore(aHost({ maxTxBitsPerSecond: 16 * MIB * 8 }))).toBeCloseTo(0.8, 12);
  });
});

it.each([
  ['a', 'A', 1],
  ['a', 'b', 0],
  ['', '', 0],
  ['a', '', 0],
  ['a|b', 'a', 0],
])('data centres %p and %p score %p', (parent, child, expected) => {
  expect(idcScore(parent, child)).toBe(expected);
});

it.each([
  ['a|b|c', 'A|B|C', 1],
  ['a|b|c', 'a|b|x', 0.4],
  ['a|b', 'a|b|c', 0.4],
  ['x|b|c', 'a|b|c', 0],
  ['a|b|c|d|e|f', 'a|b|c|d|e|g', 1],
  ['', 'a', 0],
  ['', '', 0],
  ['a|', 'a', 0.2],
  ['ab|c', 'a|c', 0],
  ['ü|b', 'Ü|c', 0.2],
  ['a@|b', 'a`|b', 0],
])('locations %p and %p score %p', (parent, child, expected) => {
  expect(locationScore(parent, child)).toBeCloseTo(expected, 12);
});

describe('default strategy', () => {
  const task = aTask();
  const child = aPeer({ task, host: aHost({ idc: 'dc1', location: 'eu|de|fra' }) });

  it.each([
    ['a normal host', { isSeed: false }, 'Running', 0.6 + 0.05],
    ['a running seed', { isSeed: true }, 'Running', 0.6 + 0.1],
    ['a seed at the source', { isSeed: true }, 'BackToSource', 0.6],
    ['a finished seed', { isSeed: true }, 'Succeeded', 0.6],
    ['a normal host in the same data centre', { idc: 'DC1' }, 'Succeeded', 0.6 + 0.2 + 0.05],
    ['a normal host in the same country', { location: 'eu|de|muc' }, 'Succeeded', 0.6 + 0.04 + 0.05],
  ] as const)('scores %s', (_name, facts, state, expected) => {
    const parent = aPeer({ task, host: aHost(facts), state, pieceCount: 1 });
    expect(defaultStrategy.score(child, [parent], 0)[0]).toBeCloseTo(expected, 12);
  });
});

/**
 * Whole scores, worked out on paper from the formula: 0.6 load + 0.2 data centre + 0.1 location + 0.1 host type, where
 * load = 0.5 peak + 0.3 duration + 0.2 concurrency. The child is in dc1 at eu|de|fra|hall|rack.
 */
describe('default strategy, hand-computed', () => {
  const task = aTask();
  const child = aPeer({ task, host: aHost({ idc: 'dc1', location: 'eu|de|fra|hall|rack' }) });

  it.each([
    // peak 1 - 0.25, duration 1 - 2e9·8/1e9/60, concurrency need 7.4506: 4 fit. L = 0.375 + 0.22 + 0.2 = 0.795
    [
      'a gigabit host a quarter used, with 2 GB promised and 4 pieces',
      { maxTxBitsPerSecond: 1e9, idc: 'dc1', location: 'eu|de|fra|hall|other' },
      { txBits: 0.25e9, uploadContentBytes: 2e9, concurrentUploadPieceCount: 4 },
      'Succeeded',
      0.6 * 0.795 + 0.2 + 0.08 + 0.05,
    ],
    // peak 0 (used up), duration 1 - 6e9·8/1e9/60 = 0.2, concurrency 7.450580596923828 / 16. L = 0.06 + 0.0931…
    [
      'a gigabit host whose bandwidth is promised away',
      { maxTxBitsPerSecond: 1e9, idc: 'dc2', location: 'us' },
      { txBits: 3e9, uploadContentBytes: 6e9, concurrentUploadPieceCount: 16 },
      'Running',
      0.6 * (0.3 * 0.2 + 0.2 * 0.465661287307739) + 0.05,
    ],
    // 100 Mbit: need 0.745 ≤ 1, so concurrency 0. peak 0.5, duration 1 - 0.15e9·8/1e8/60 = 0.8. L = 0.25 + 0.24
    [
      'a 100 megabit host, half used',
      { maxTxBitsPerSecond: 1e8, idc: '', location: 'eu|de' },
      { txBits: 0.5e8, uploadContentBytes: 0.15e9, concurrentUploadPieceCount: 1 },
      'Running',
      0.6 * 0.49 + 0.04 + 0.05,
    ],
    ['an idle running seed of 10 gigabit elsewhere', { isSeed: true, maxTxBitsPerSecond: 1e10 }, {}, 'Running', 0.7],
    ['an idle finished seed of 10 gigabit elsewhere', { isSeed: true, maxTxBitsPerSecond: 1e10 }, {}, 'Succeeded', 0.6],
    [
      'a host that announces no bandwidth, in the same rack',
      { maxTxBitsPerSecond: 0, idc: 'DC1', location: 'EU|DE|FRA|HALL|RACK' },
      { txBits: 1, uploadContentBytes: 1, concurrentUploadPieceCount: 1 },
      'Succeeded',
      0.2 + 0.1 + 0.05,
    ],
    [
      'a list of data centres, which is no list here',
      { maxTxBitsPerSecond: 0, idc: 'dc1|dc2', location: '' },
      {},
      'Succeeded',
      0.05,
    ],
  ] as const)('scores %s', (_name, facts, load, state, expected) => {
    const parent = aPeer({ task, host: Object.assign(aHost(facts), load), state, pieceCount: 1 });
    expect(defaultStrategy.score(child, [parent], 0)[0]).toBeCloseTo(expected, 9);
  });
});
